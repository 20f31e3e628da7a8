async def handler(req, ctx):
    return {"status": 200, "body": "x"}
