config = {"type": "api", "name": "Mark", "method": "POST", "path": "/mark/:item", "emits": []}


async def handler(req, ctx):
    await ctx.streams.marks.set("g", req["pathParams"]["item"], req["body"])
    return {"status": 202}
