"""Answers items inside other values, more of them than an answer may name."""

config = {"type": "api", "name": "Nested", "path": "/nested", "method": "POST", "emits": []}


async def handler(req, ctx):
    items = [await ctx.streams.chat.set("g/1", str(number), {"n": number}) for number in range(20)]
    return {"status": 200, "body": {"first": items[0], "rest": {"list": items[1:]}}}
