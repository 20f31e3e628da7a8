"""DELETE /lists/:list/:id: removes something from the list."""

config = {"type": "api", "name": "RemoveTodo", "method": "DELETE", "path": "/lists/:list/:id", "emits": []}


async def handler(req, ctx):
    where = req["pathParams"]
    await ctx.streams.todo.delete(where["list"], where["id"])
    return {"status": 204}
