config = {"type": "api", "name": "Unsendable", "path": "/unsendable", "method": "POST", "emits": []}


async def handler(req, ctx):
    try:
        await ctx.streams.chat.set("general", "1", {"list": [{"deep": handler}]})
    except Exception as error:
        return {"status": 200, "body": {"code": error.code, "message": error.message}}
