"""The stream `reactions`, declared in Python and written by a TypeScript step: one item per message."""

config = {
    "name": "reactions",
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "likes": {"type": "integer", "minimum": 0},
            "by": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["id"],
    },
    "baseConfig": {"storageType": "default"},
}
