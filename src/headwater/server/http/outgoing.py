"""What HTTP demands of an answer: framing headers, header syntax, answers without a body.

Everything is checked before the first byte leaves: afterwards a fault could only cut the connection.
"""

from __future__ import annotations

from headwater.errors import HandlerFailed
from headwater.response_rules import (
    BODILESS,
    LENGTHLESS,
    SERVER_OWNED,
    STATUS_RULE,
    VALUE_HINT,
    is_name,
    is_status,
    is_value,
)
from headwater.server.http.cors import Header
from headwater.steps.project.declare import ApiResponse


def encode_headers(response: ApiResponse) -> list[Header]:
    """The header lines of an answer, with its content length.

    Raises HandlerFailed for a status or a header that HTTP does not allow.
    """
    if not is_status(response.status):
        raise HandlerFailed(f"the step answered the status {response.status}, which is not {STATUS_RULE}")
    lines: list[Header] = []
    for name, value in response.headers:
        key = name.lower()
        if key in SERVER_OWNED:
            continue
        if not is_name(name) or not is_value(value):
            text = f'the step answered a header that HTTP does not allow: "{ascii(name)[1:-1]}"'
            raise HandlerFailed(text, hint=VALUE_HINT)
        lines.append((key.encode("ascii"), value.encode("latin-1")))
    if response.status not in LENGTHLESS:
        length = 0 if response.status in BODILESS else len(response.body)
        lines.append((b"content-length", b"%d" % length))
    return lines


def is_silent(method: str, status: int) -> bool:
    """Whether HTTP sends no body with such an answer, whatever it holds."""
    return method == "HEAD" or status in BODILESS
