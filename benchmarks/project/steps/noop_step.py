config = {"type": "api", "name": "Noop", "method": "GET", "path": "/noop", "emits": []}


async def handler(req, context):
    return {"status": 200, "body": {"ok": True}}
