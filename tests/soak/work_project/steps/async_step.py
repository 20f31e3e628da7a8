import asyncio
import os
import signal

from record import Attempt

config = {
    "type": "event",
    "name": "Async",
    "subscribes": ["std"],
    "emits": ["next"],
    "infrastructure": {"queue": {"maxRetries": 5}},
}


async def handler(input, ctx):
    attempt = Attempt("Async", input["label"], ctx.attempt)

    async def once():
        attempt.say("step")

    await ctx.step("once", once)
    attempt.say("kept")
    for _ in range(input["beats"]):
        await asyncio.sleep(0.02)
        attempt.say("beat")
    if ctx.attempt <= input["dies"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if ctx.attempt <= input["fails"]:
        raise RuntimeError("as asked")
    await ctx.emit({"topic": "next", "data": input, "key": input["label"]})
    attempt.say("end")
