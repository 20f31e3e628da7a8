"""Blocks whatever runs it, writing now and then without waiting, as code around a blocking client does."""

import time

config = {"type": "api", "name": "Block", "path": "/block", "method": "POST", "emits": []}


async def handler(req, ctx):
    for number in range(req["body"]["times"]):
        ctx.streams.chat.set("general", str(number), {"number": number})
        time.sleep(req["body"]["seconds"])
    return {"status": 200, "body": "blocked"}
