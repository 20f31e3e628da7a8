config = {"type": "api", "name": "NotYet", "path": "/not-yet", "method": "POST", "emits": []}


async def handler(req, ctx):
    codes = []
    for use in (lambda: ctx.emit({"topic": "a", "data": {}}), lambda: ctx.state.get("a", "b")):
        try:
            await use()
        except Exception as error:
            codes.append(error.code)
    return {"status": 200, "body": codes}
