"""The line between a bot and the harness: commands come in on stdin, reports go out on stdout, as lines of JSON.

A command `{"id": 7, "do": "ask", "user_ids": [1, 2]}` is answered by a report with the same id.
What a bot sees by itself is reported without one: `{"saw": "connected"}`, `{"saw": "message", …}`.
"""

import asyncio
import json
import os
import sys


async def obey(bot):
    """Carries out commands until stdin ends, which also ends the process: no bot outlives its harness.

    `bot` has `ask(user_id)`, `answer(text)` and `failure(error)`.
    """
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    running = set()
    async for line in lines:
        task = asyncio.create_task(_carry_out(bot, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
    os._exit(0)


def report(**what):
    """Tells the harness something."""
    print(json.dumps(what), flush=True)


def saw_message(event):
    """Reports a message event as it came; `event` holds the OneBot fields."""
    report(
        saw="message",
        message_id=event["message_id"],
        message_seq=event["message_seq"],
        chat=event.get("group_id") or event["user_id"],
        raw_message=event["raw_message"],
    )


async def _carry_out(bot, command):
    if command["do"] == "answer":
        outcome = await _attempt(bot, bot.answer(command["text"]))
    else:
        outcome = await asyncio.gather(*(_attempt(bot, bot.ask(user_id)) for user_id in command["user_ids"]))
    report(id=command["id"], outcome=outcome)


async def _attempt(bot, call):
    try:
        return {"ok": await call}
    except Exception as error:
        return {"failed": bot.failure(error), "error": repr(error)}


class Armed:
    """Texts with which to answer the next messages, each with a future for what became of it."""

    def __init__(self):
        self._waiting = []

    async def answer(self, text):
        outcome = asyncio.get_running_loop().create_future()
        self._waiting.append((text, outcome))
        return await outcome

    async def converse(self, send, get_msg, delete_msg):
        """Says the first waiting text, reads it back and recalls it. Does nothing if no text waits."""
        if not self._waiting:
            return
        text, outcome = self._waiting.pop(0)
        try:
            message_id = (await send(text))["message_id"]
            said = await get_msg(message_id=message_id)
            await delete_msg(message_id=message_id)
            outcome.set_result({"message_id": message_id, "read": said["message"]})
        except Exception as error:
            outcome.set_exception(error)
