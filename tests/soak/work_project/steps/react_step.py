from record import Attempt

config = {
    "type": "event",
    "name": "React",
    "subscribes": ["stream:marks"],
    "emits": [],
    "infrastructure": {"queue": {"maxRetries": 5}},
}


async def handler(input, ctx):
    Attempt("React", f"{input['id']}/{input['new']['number']}", ctx.attempt).say("end")
