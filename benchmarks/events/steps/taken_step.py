"""Notes each event with one byte."""

import os

config = {
    "type": "event",
    "name": "Taken",
    "subscribes": ["bench.taken"],
    "emits": [],
    "infrastructure": {"queue": {"concurrency": 64}},
}
NOTES = os.open(".headwater/taken", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def handler(event, ctx):
    os.write(NOTES, b".")
