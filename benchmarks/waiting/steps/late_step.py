"""Its events wait for a day."""

config = {
    "type": "event",
    "name": "Late",
    "subscribes": ["bench.late"],
    "emits": [],
    "infrastructure": {"queue": {"delaySeconds": 86400}},
}


async def handler(event, ctx):
    pass
