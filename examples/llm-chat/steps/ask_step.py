"""POST /rooms/:room/messages: asks a question. It is answered by another step; this one is done at once."""

import uuid
from datetime import UTC, datetime

from asking import have_answered

config = {
    "type": "api",
    "name": "Ask",
    "method": "POST",
    "path": "/rooms/:room/messages",
    "emits": ["question.asked"],
    "bodySchema": {
        "type": "object",
        "properties": {"text": {"type": "string", "pattern": "\\S", "maxLength": 8000}},
        "required": ["text"],
    },
}


async def handler(req, ctx):
    room, text = req["pathParams"]["room"], req["body"]["text"].strip()
    now = datetime.now(UTC).isoformat()
    known = await ctx.streams.rooms.get("all", room)
    await ctx.streams.rooms.set("all", room, {"title": known["title"] if known else text[:80], "asked": now})
    question = {"role": "user", "text": text, "at": now, "status": "done"}
    await ctx.streams.messages.set(room, str(uuid.uuid4()), question)
    return {"status": 202, "body": await have_answered(ctx, room, str(uuid.uuid4()))}
