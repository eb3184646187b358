"""An aiocqhttp bot: it is connected to on $ONEBOT_PORT."""

import asyncio
import os

from aiocqhttp import ActionFailed, CQHttp, Event

from commands import Armed, obey, report, saw_message

bot = CQHttp(access_token=os.environ["ONEBOT_TOKEN"])
armed = Armed()


class Commands:
    answer = armed.answer

    async def ask(self, user_id):
        return (await bot.call_action("get_stranger_info", user_id=user_id))["user_id"]

    def failure(self, error):
        return error.result if isinstance(error, ActionFailed) else {}


@bot.on_websocket_connection
async def connected(event: Event):
    report(saw="connected", self_id=event.self_id)


@bot.server_app.teardown_websocket
async def disconnected(error):
    report(saw="disconnected")


@bot.before("message")
async def seen(event: Event):
    saw_message(event)


@bot.on_message("group")
async def message(event: Event):
    await armed.converse(lambda text: bot.send(event, text), bot.get_msg, bot.delete_msg)


async def main():
    serving = asyncio.create_task(bot.run_task("127.0.0.1", int(os.environ["ONEBOT_PORT"])))
    await asyncio.gather(serving, obey(Commands()))


asyncio.run(main())
