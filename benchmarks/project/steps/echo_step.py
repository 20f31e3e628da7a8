config = {"type": "api", "name": "Echo", "method": "POST", "path": "/echo", "emits": []}


async def handler(req, context):
    return {"status": 200, "body": {"n": req.get("body")["n"]}}
