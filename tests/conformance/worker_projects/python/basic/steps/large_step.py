config = {"type": "api", "name": "Large", "path": "/large", "method": "POST", "emits": []}


async def handler(req, ctx):
    text = "x" * req["body"]["size"]
    if req["body"]["where"] == "response":
        return {"status": 200, "body": text}
    try:
        await ctx.streams.chat.set("general", "large", {"text": text})
    except Exception as error:
        return {"status": 200, "body": {"code": error.code}}
    return {"status": 200, "body": {"code": None}}
