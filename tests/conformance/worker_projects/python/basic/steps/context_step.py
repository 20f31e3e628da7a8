config = {"type": "api", "name": "Context", "path": "/context", "method": "POST", "emits": []}


async def handler(req, ctx):
    try:
        ctx.streams["chatt"].get("general", "1")
        unknown = None
    except Exception as error:
        unknown = {"code": error.code, "text": str(error)}
    return {"status": 200, "body": {"trace": ctx.traceId, "flows": ctx.flows, "unknown": unknown}}
