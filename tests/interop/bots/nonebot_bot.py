"""A NoneBot2 bot with the driver it is told.

`nonebot_bot.py aiohttp` and `… websockets` connect to $ONEBOT_URL, `… fastapi` is connected to on $ONEBOT_PORT,
`… http` is posted to there and calls the API at $ONEBOT_URL.
"""

import asyncio
import os
import re
import sys

import nonebot
from nonebot.adapters.onebot.v11 import ActionFailed, Adapter, Bot, GroupMessageEvent, MessageEvent, NetworkError
from nonebot.message import event_preprocessor

from commands import Armed, obey, report, saw_message

URL = os.environ["ONEBOT_URL"]
CLIENT = {"onebot_ws_urls": [URL]}
SERVER = {"host": "127.0.0.1", "port": int(os.environ["ONEBOT_PORT"])}
HTTP = {"onebot_api_roots": {os.environ["ONEBOT_SELF_ID"]: URL}, "onebot_secret": os.environ["ONEBOT_SECRET"]}
WAYS = {
    "aiohttp": {"driver": "~none+~aiohttp", **CLIENT},
    "websockets": {"driver": "~none+~websockets", **CLIENT},
    "fastapi": {"driver": "~fastapi", **SERVER},
    "http": {"driver": "~fastapi+~httpx", **SERVER, **HTTP},
}

nonebot.init(**WAYS[sys.argv[1]], log_level="WARNING", onebot_access_token=os.environ["ONEBOT_TOKEN"])
driver = nonebot.get_driver()
driver.register_adapter(Adapter)
armed = Armed()


class Commands:
    answer = armed.answer

    async def ask(self, user_id):
        return (await nonebot.get_bot().call_api("get_stranger_info", user_id=user_id))["user_id"]

    def failure(self, error):
        if isinstance(error, NetworkError) and (status := re.search("status code: ([0-9]+)$", error.msg or "")):
            # All it keeps of the answer; a status n says the same as the retcode 1000 + n.
            return {"retcode": 1000 + int(status[1])}
        return error.info if isinstance(error, ActionFailed) else {}


@driver.on_startup
async def start():
    driver.obeying = asyncio.create_task(obey(Commands()))


@driver.on_bot_connect
async def connected(bot: Bot):
    report(saw="connected", self_id=int(bot.self_id))


@driver.on_bot_disconnect
async def disconnected(bot: Bot):
    report(saw="disconnected")


@event_preprocessor
async def seen(event: MessageEvent):
    saw_message(event.model_dump())


@nonebot.on_message().handle()
async def message(bot: Bot, event: GroupMessageEvent):
    await armed.converse(lambda text: bot.send(event, text), bot.get_msg, bot.delete_msg)


nonebot.run()
