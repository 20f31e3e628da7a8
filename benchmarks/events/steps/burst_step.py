"""POST /burst {"n": how many, "emitters": at once}: emits that many events, each awaited."""

import asyncio

config = {"type": "api", "name": "Burst", "method": "POST", "path": "/burst", "emits": ["bench.taken"]}


async def handler(req, ctx):
    numbers = iter(range(req["body"]["n"]))

    async def emitter():
        for number in numbers:
            await ctx.emit({"topic": "bench.taken", "data": {"n": number, "pad": "x" * 70}})

    await asyncio.gather(*(emitter() for _ in range(req["body"]["emitters"])))
    return {"status": 200, "body": {}}
