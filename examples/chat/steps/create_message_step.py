"""POST /chat-messages: puts a message into a channel. All who subscribe to the channel see it at once."""

import uuid
from datetime import UTC, datetime

config = {
    "type": "api",
    "name": "CreateChatMessage",
    "method": "POST",
    "path": "/chat-messages",
    "bodySchema": {
        "type": "object",
        "properties": {
            "channel_id": {"type": "string", "minLength": 1, "maxLength": 100},
            "message": {"type": "string", "minLength": 1, "maxLength": 4000},
            "user_id": {"type": "string", "minLength": 1, "maxLength": 40},
        },
        "required": ["channel_id", "message"],
    },
    "emits": [],
    "responseSchema": {
        201: {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "user_id": {"type": "string"},
                "message": {"type": "string"},
                "timestamp": {"type": "string"},
            },
        }
    },
}


async def handler(req, context):
    body = req["body"]
    message_id = str(uuid.uuid4())
    chat_message = await context.streams.chatMessage.set(
        body["channel_id"],
        message_id,
        {
            "id": message_id,
            # A real application knows who asks: req["auth"], once headwater_auth says so.
            "user_id": body.get("user_id", "example-user-id"),
            "message": body["message"],
            "timestamp": datetime.now(UTC).isoformat(),
        },
    )
    return {"status": 201, "body": chat_message}
