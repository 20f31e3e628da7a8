import time

config = {
    "type": "api",
    "name": "EmitOne",
    "method": "POST",
    "path": "/emit-py",
    "emits": ["old.py"],
    "flows": [],
}


async def handler(req, context):
    await context.emit({"topic": "old.py", "data": {"at": time.time() * 1000}})
    return {"status": 200, "body": {}}
