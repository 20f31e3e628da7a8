"""The stream `todo`: one group per list, one item per thing to do."""

config = {
    "name": "todo",
    "schema": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 200},
            "done": {"type": "boolean"},
        },
        "required": ["text", "done"],
    },
    "presence": True,
}
