config = {"type": "api", "name": "Syntax", "path": "/syntax", "method": "GET", "emits": []}

async def handler(req, ctx):
    return {"status": 200, "body" "x"}
