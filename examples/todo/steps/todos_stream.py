"""The stream `todo`: one group per list, one item per thing to do. Pages write it: there is no step."""

config = {
    "name": "todo",
    "schema": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 200},
            "done": {"type": "boolean"},
        },
        "required": ["text", "done"],
        "additionalProperties": False,
    },
    "presence": True,
}

# Everybody who has the address may write: a function of the change and of who asks would say who else.
can_write = True
can_delete = True
