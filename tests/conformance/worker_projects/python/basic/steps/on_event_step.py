config = {"type": "event", "name": "OnEvent", "subscribes": ["t"], "emits": []}


async def handler(input, ctx):
    if input == "fail":
        raise ValueError("kaboom")
    await ctx.streams.chat.set("g", "seen", {"input": input, "attempt": ctx.attempt, "run": ctx.run})
    return {"status": 500}
