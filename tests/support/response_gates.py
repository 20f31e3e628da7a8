"""All gates that the response of a step passes on its way out."""

from __future__ import annotations

from typing import Any

from headwater.errors import HandlerFailed
from headwater.protocol.workers.messages import Message
from headwater.response_rules import is_name, is_status, is_value
from headwater.server.http.outgoing import encode_headers
from headwater.steps.project.declare import ApiResponse
from headwater.steps.responses import response_of
from headwater.worker.responses import answer_of


def passes(gate: Any, *what: Any) -> bool:
    try:
        gate(*what)
    except HandlerFailed:
        return False
    return True


def by_all(status: int, name: str, value: str) -> bool:
    """What all gates say of a response; they must agree."""
    headers = {name: value}
    told = Message({"t": "result", "ok": True, "status": status, "headers": headers, "body_kind": "none"})
    said = {
        passes(answer_of, {"status": status, "headers": headers}),
        passes(response_of, told),
        passes(encode_headers, ApiResponse(status, [(name, value)], b"")),
        is_status(status) and is_name(name) and is_value(value),
    }
    assert len(said) == 1, (status, name, value)
    return said.pop()
