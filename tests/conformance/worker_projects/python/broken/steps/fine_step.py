config = {"type": "api", "name": "Fine", "path": "/fine", "method": "GET", "emits": []}


async def handler(req, ctx):
    return {"status": 200, "body": "fine"}
