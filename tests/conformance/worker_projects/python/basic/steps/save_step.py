config = {"type": "api", "name": "Save", "path": "/save", "method": "POST", "emits": []}


async def handler(req, ctx):
    item = await ctx.streams.chat.set("general", req["body"]["id"], req["body"])
    return {"status": 201, "body": item}
