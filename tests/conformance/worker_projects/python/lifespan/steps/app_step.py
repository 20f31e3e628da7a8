config = {"type": "api", "name": "App", "path": "/app", "method": "POST", "emits": []}


async def handler(req, ctx):
    return {"status": 200, "body": ctx.app}
