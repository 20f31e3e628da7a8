"""Calls the methods of state that it is told to, one after the other, and answers what each gave."""

config = {"type": "api", "name": "Remember", "path": "/remember", "method": "POST", "emits": []}

NAMES = {"ifVersion": "if_version", "writeKey": "write_key"}


async def handler(req, ctx):
    answers = []
    for method, arguments, options in req["body"]:
        named = {NAMES.get(name, name): value for name, value in options.items()}
        try:
            answers.append({"value": await getattr(ctx.state, method)(*arguments, **named)})
        except Exception as error:
            answers.append({"error": error.code, "message": error.message})
    return {"status": 200, "body": answers}
