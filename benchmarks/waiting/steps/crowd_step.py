"""POST /crowd {"n": how many, "topic": which}: emits that many events, 64 at once."""

import asyncio

config = {
    "type": "api",
    "name": "Crowd",
    "method": "POST",
    "path": "/crowd",
    "emits": ["bench.bad", "bench.late"],
}


async def handler(req, ctx):
    numbers = iter(range(req["body"]["n"]))

    async def emitter():
        for number in numbers:
            await ctx.emit({"topic": req["body"]["topic"], "data": {"n": number, "pad": "x" * 70}})

    await asyncio.gather(*(emitter() for _ in range(64)))
    return {"status": 200, "body": {}}
