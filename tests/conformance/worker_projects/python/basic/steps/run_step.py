import asyncio

config = {"type": "event", "name": "Run", "subscribes": ["r"], "emits": []}
DONE = []


async def handler(input, ctx):
    """Does what the input says with its run, and writes what became of it."""
    seen = {}

    async def costly():
        DONE.append(1)
        return {"n": len(DONE)}

    match input["do"]:
        case "steps":
            seen["first"] = await ctx.step("costly", costly)
            seen["second"] = await ctx.step("costly", costly)
            seen["plain"] = await ctx.step("plain", lambda: [1, 2])
        case "clash":
            waits = asyncio.ensure_future(ctx.step("a", lambda: asyncio.sleep(0.05))._do())
            await asyncio.sleep(0.01)
            try:
                await ctx.step("a", lambda: 1)
            except Exception as error:
                seen["code"] = error.code
            await waits
        case "owns":
            item = await ctx.streams.chat.set("g", "mine", {})
            await ctx.owns(item)
            try:
                ctx.owns({"id": "x"})
            except Exception as error:
                seen["code"] = error.code
        case "cancel":
            try:
                await ctx.streams.chat.set("g", "waits", {"cancelled": ctx.cancelled})
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                await ctx.streams.chat.set("g", "seen", {"cancelled": ctx.cancelled})
                raise
    await ctx.streams.chat.set("g", "seen", seen)
