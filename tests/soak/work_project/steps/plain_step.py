import time

from record import Attempt

config = {
    "type": "event",
    "name": "Plain",
    "subscribes": ["std"],
    "emits": [],
    "infrastructure": {"queue": {"maxRetries": 5}},
}


def handler(input, ctx):
    attempt = Attempt("Plain", input["label"], ctx.attempt)
    for _ in range(input["beats"]):
        time.sleep(0.02)
        attempt.say("beat")
    if ctx.attempt <= input["fails"]:
        raise RuntimeError("as asked")
    attempt.say("end")
