"""Calls the methods it is told to, one after the other, and answers what each gave."""

config = {"type": "api", "name": "Operate", "path": "/operate", "method": "POST", "emits": []}


async def handler(req, ctx):
    answers = []
    for method, arguments, options in req["body"]:
        named = {"if_version": options["ifVersion"]} if "ifVersion" in options else {}
        try:
            value = await getattr(ctx.streams["chat"], method)(*arguments, **named)
            version = getattr(value, "version", None)
            answers.append({"value": value, "version": version})
        except Exception as error:
            answers.append({"error": error.code, "message": error.message})
    return {"status": 200, "body": answers}
