config = {"type": "api", "name": "Ask", "method": "POST", "path": "/ask", "emits": ["std", "lane"]}


async def handler(req, ctx):
    await ctx.emit(req["body"])
    return {"status": 202}
