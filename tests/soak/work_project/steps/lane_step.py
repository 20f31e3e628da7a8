import asyncio

from record import Attempt

config = {
    "type": "event",
    "name": "Lane",
    "subscribes": ["lane"],
    "emits": [],
    "infrastructure": {"queue": {"type": "fifo", "maxRetries": 5, "concurrency": 4}},
}


async def handler(input, ctx):
    attempt = Attempt("Lane", input["label"], ctx.attempt)
    for _ in range(input["beats"]):
        await asyncio.sleep(0.02)
        attempt.say("beat")
    if ctx.attempt <= input["fails"]:
        raise RuntimeError("as asked")
    attempt.say("end")
