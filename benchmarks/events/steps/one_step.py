"""POST /one: emits one event that says when."""

import time

config = {"type": "api", "name": "One", "method": "POST", "path": "/one", "emits": ["bench.timed"]}


async def handler(req, ctx):
    await ctx.emit({"topic": "bench.timed", "data": {"at": time.time()}})
    return {"status": 200, "body": {}}
