"""The stream `answering`: one group, `all`, with an item per unfinished answer, for the list of rooms."""

config = {
    "name": "answering",
    "schema": {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]},
}
