import thrower

config = {"type": "api", "name": "Imports", "path": "/imports", "method": "GET", "emits": []}


async def handler(req, ctx):
    return {"status": 200, "body": thrower}
