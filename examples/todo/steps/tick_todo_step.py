"""PUT /lists/:list/:id: ticks something off, or back on."""

config = {
    "type": "api",
    "name": "TickTodo",
    "method": "PUT",
    "path": "/lists/:list/:id",
    "emits": [],
    "bodySchema": {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]},
}


async def handler(req, ctx):
    where = req["pathParams"]
    tick = [{"type": "set", "path": "done", "value": req["body"]["done"]}]
    return {"status": 200, "body": await ctx.streams.todo.update(where["list"], where["id"], tick)}
