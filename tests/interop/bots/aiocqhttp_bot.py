"""An aiocqhttp bot, which listens on $ONEBOT_PORT.

`aiocqhttp_bot.py ws-reverse` is connected to, `… http` is posted to and calls the API at $ONEBOT_URL.
"""

import asyncio
import os
import sys

from aiocqhttp import ActionFailed, CQHttp, Event, HttpFailed

from commands import Armed, obey, report, saw_message

http = {"api_root": os.environ["ONEBOT_URL"], "secret": os.environ["ONEBOT_SECRET"]}
bot = CQHttp(access_token=os.environ["ONEBOT_TOKEN"], **(http if sys.argv[1] == "http" else {}))
armed = Armed()


class Commands:
    answer = armed.answer

    async def ask(self, user_id):
        return (await bot.call_action("get_stranger_info", user_id=user_id))["user_id"]

    def failure(self, error):
        if isinstance(error, HttpFailed):
            # All it keeps of the answer; a status n says the same as the retcode 1000 + n.
            return {"retcode": 1000 + error.status_code}
        return error.result if isinstance(error, ActionFailed) else {}


if sys.argv[1] == "http":
    known = set()

    @bot.before("meta_event", "message", "notice", "request")
    async def posted(event: Event):
        # Whoever is posted to knows the account by its first event.
        if event.self_id not in known:
            known.add(event.self_id)
            report(saw="connected", self_id=event.self_id)


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
