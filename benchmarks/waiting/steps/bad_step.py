"""Fails at each event."""

config = {
    "type": "event",
    "name": "Bad",
    "subscribes": ["bench.bad"],
    "emits": [],
    "infrastructure": {"queue": {"concurrency": 64, "maxRetries": 3}},
}


async def handler(event, ctx):
    raise ValueError("as always")
