config = {"type": "api", "name": "Emit", "path": "/emit", "method": "POST", "emits": []}


async def handler(req, ctx):
    """Emits in every form, and tells what became of what makes no sense."""
    ctx.emit({"topic": "unawaited", "data": {"n": 1}})
    given = await ctx.emit({"topic": "t", "data": [1], "messageGroupId": "g", "delay": 1.5, "key": "k"})
    await ctx.emit({"topic": "empty", "delya": 3})
    codes = []
    for wrong in ({}, {"topic": 1}, {"topic": "t", "delay": "soon"}, {"topic": "t", "messageGroupId": 7}, None):
        try:
            await ctx.emit(wrong)
        except Exception as error:
            codes.append(error.code)
    try:
        await ctx.emit("order.placed", {"id": 1})
    except Exception as error:
        misused = error.hint
    return {"status": 200, "body": {"given": given, "codes": codes, "misused": misused}}
