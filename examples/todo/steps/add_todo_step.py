"""POST /lists/:list: adds something to do. The page chooses its id, to show it before it is stored."""

config = {
    "type": "api",
    "name": "AddTodo",
    "method": "POST",
    "path": "/lists/:list",
    "emits": [],
    "bodySchema": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 64},
            "text": {"type": "string", "minLength": 1, "maxLength": 200},
        },
        "required": ["id", "text"],
    },
}


async def handler(req, ctx):
    body = req["body"]
    todo = {"text": body["text"], "done": False}
    return {"status": 201, "body": await ctx.streams.todo.set(req["pathParams"]["list"], body["id"], todo)}
