config = {"type": "api", "name": "Log", "path": "/log", "method": "POST", "emits": []}


async def handler(req, ctx):
    ctx.logger.debug("a debug line")
    ctx.logger.info("an info line", {"number": 1, "odd": object()})
    ctx.logger.warn("a warn line")
    ctx.logger.error("an error line", {"nested": {"a": [1]}})
    print("printed by the step")
    return {"status": 200, "body": "logged"}
