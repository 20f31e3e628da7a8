"""The stream `chatMessage`: one group per channel, one item per message."""

config = {
    "name": "chatMessage",
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "user_id": {"type": "string"},
            "message": {"type": "string", "minLength": 1, "maxLength": 4000},
            "timestamp": {"type": "string"},
        },
        "required": ["id", "user_id", "message", "timestamp"],
    },
    "baseConfig": {"storageType": "default"},
}
