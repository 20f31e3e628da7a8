config = {"type": "api", "name": "NotJson", "path": "/x", "method": "GET", "emits": [], "includeFiles": [object()]}


async def handler(req, ctx):
    return {"status": 200, "body": "x"}
