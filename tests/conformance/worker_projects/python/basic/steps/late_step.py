"""Leaves a task running that writes after the answer."""

import asyncio

config = {"type": "api", "name": "Late", "path": "/late", "method": "POST", "emits": []}
tasks = set()


async def write_later(ctx, data):
    await asyncio.sleep(data.get("seconds", 0.05))
    await ctx.streams.chat.set("general", "late", data)
    ctx.logger.info("written late")


async def handler(req, ctx):
    if "pretend" in req["body"]:
        ctx.auth["user"] = req["auth"]["user"] = req["body"]["pretend"]
    tasks.add(asyncio.create_task(write_later(ctx, req["body"])))
    return {"status": 202, "body": "soon"}
