"""The stream `rooms`: one group, `all`, with an item per room that has been asked something."""

config = {
    "name": "rooms",
    "schema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 200},
            "asked": {"type": "string", "description": "when last, ISO 8601"},
        },
        "required": ["title", "asked"],
    },
}
