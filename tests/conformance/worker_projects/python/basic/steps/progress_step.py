config = {"type": "api", "name": "Progress", "path": "/progress", "method": "POST", "emits": []}


async def handler(req, ctx):
    body = req["body"]
    item = await ctx.streams.chat.set("jobs", "a", {"n": 1})
    seen = []
    if body["way"] == "plain":
        for element in ctx.progress(body["items"], item):
            seen.append(element)
    else:
        async for element in ctx.progress(body["items"], item):
            if element is None:
                raise ValueError("an element that is none")
            seen.append(element)
    return {"status": 200, "body": seen}
