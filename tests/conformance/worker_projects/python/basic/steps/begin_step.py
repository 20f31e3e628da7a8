"""Begins writes and does not wait for them."""

config = {"type": "api", "name": "Begin", "path": "/begin", "method": "POST", "emits": []}


async def handler(req, ctx):
    for item in req["body"]["items"]:
        ctx.streams.chat.set("general", item["id"], item)
    return {"status": 200, "body": "begun"}
