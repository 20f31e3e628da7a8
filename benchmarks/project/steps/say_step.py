config = {"type": "api", "name": "Say", "method": "POST", "path": "/say", "emits": []}


async def handler(req, context):
    body = req.get("body")
    item = await context.streams.room.set("g", body["id"], {"n": body["n"], "pad": body["pad"]})
    return {"status": 200, "body": item}
