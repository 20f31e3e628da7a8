async def outer(req, ctx, next):
    req["trail"] = ["outer"]
    response = await next()
    return {**response, "headers": {"x-outer": "after"}}


async def inner(req, ctx, next):
    req["trail"].append("inner")
    req["live"] = object()
    if req["body"].get("stop"):
        return {"status": 403, "body": req["trail"]}
    return await next()


config = {
    "type": "api",
    "name": "Wrap",
    "path": "/wrap",
    "method": "POST",
    "emits": [],
    "middleware": [outer, inner],
}


async def handler(req, ctx):
    return {"status": 200, "body": {"trail": req["trail"], "live": req["live"] is not None}}
