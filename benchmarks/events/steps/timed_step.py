"""Notes how long each event took from its emit to here, in seconds, a line each."""

import os
import time

config = {"type": "event", "name": "Timed", "subscribes": ["bench.timed"], "emits": []}
NOTES = os.open(".headwater/timed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def handler(event, ctx):
    os.write(NOTES, b"%.6f\n" % (time.time() - event["at"]))
