"""An `invoke` message of kind api -> `req`, the first argument of handlers. Owns its shape."""

from __future__ import annotations

from typing import Any

from headwater.protocol.workers.messages import Message
from headwater.worker.values import from_json


def request_of(message: Message) -> dict[str, Any]:
    """The request as one plain, mutable dict.

    :raises InvalidInput: the body was promised to be JSON and is not.
    """
    request: dict[str, Any] = message.header.get("request") or {}
    raw = bytes(message.sections[0]) if message.sections else b""
    text = _text(raw)
    return {
        "body": _body(request, raw, text),
        "pathParams": request.get("pathParams") or {},
        "queryParams": request.get("queryParams") or {},
        "headers": request.get("headers") or {},
        "rawBody": text,
        "auth": message.header.get("auth"),
    }


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _body(request: dict[str, Any], raw: bytes, text: str | bytes) -> Any:
    match request.get("body_kind"):
        case "json":
            return from_json(raw)
        case "text":
            return text
        case "inline":
            return request.get("body")
        case _:
            return {}
