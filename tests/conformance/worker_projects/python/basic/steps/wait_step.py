import asyncio

config = {"type": "api", "name": "Wait", "path": "/wait", "method": "POST", "emits": []}


async def handler(req, ctx):
    await asyncio.sleep(req["body"]["seconds"])
    return {"status": 200, "body": "waited"}
