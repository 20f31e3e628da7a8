"""The stream `messages`: one group per room; a question is an item, and so is the answer to it.

The status of an answer:

    waiting -> streaming -> done | error | cancelled

Two things lead back to the beginning: somebody asks again; the server was restarted (the next `attempt`).
"""

STATUS = ["waiting", "streaming", "done", "error", "cancelled"]

config = {
    "name": "messages",
    "schema": {
        "type": "object",
        "properties": {
            "role": {"enum": ["user", "assistant"]},
            "text": {"type": "string"},
            "at": {"type": "string", "description": "when it was asked, ISO 8601"},
            "status": {"enum": STATUS},
            "attempt": {"type": "integer", "description": "1 at first, one more after each restart"},
            "resumed": {"type": "boolean", "description": "whether that attempt went on where it was"},
            "model": {"type": "string"},
            "local": {"type": "boolean", "description": "no language model, the example's own server"},
            "seconds": {"type": "number", "description": "how long it took"},
            "tokens": {"type": "integer", "description": "how many the endpoint counted"},
            "note": {"type": "string", "description": "why it failed, or ended early"},
        },
        "required": ["role", "text", "at", "status"],
    },
}
