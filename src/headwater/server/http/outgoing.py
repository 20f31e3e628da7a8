"""What HTTP demands of an answer: framing headers, header syntax, answers without a body.

Everything is checked before the first byte leaves: afterwards a fault could only cut the connection.
"""

from __future__ import annotations

from functools import lru_cache

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

MOST_KEPT, LONGEST_KEPT = 256, 200
"""Content types whose lines are kept, and the characters of one."""


def encode_headers(response: ApiResponse) -> list[Header]:
    """The header lines of an answer, with its content length.

    Raises HandlerFailed for a status or a header that HTTP does not allow.
    """
    if not is_status(response.status):
        raise HandlerFailed(f"the step answered the status {response.status}, which is not {STATUS_RULE}")
    lines = [line for name, value in response.headers if (line := _line(name, value)) is not None]
    if response.status not in LENGTHLESS:
        length = 0 if response.status in BODILESS else len(response.body)
        lines.append((b"content-length", b"%d" % length))
    return lines


def _line(name: str, value: str) -> Header | None:
    """A header as it is sent; None for one that is the server's own."""
    if name == "content-type" and len(value) <= LONGEST_KEPT:
        return _content_type(value)
    return _any_line(name, value)


def _any_line(name: str, value: str) -> Header | None:
    key = name.lower()
    if key in SERVER_OWNED:
        return None
    if not is_name(name) or not is_value(value):
        text = f'the step answered a header that HTTP does not allow: "{ascii(name)[1:-1]}"'
        raise HandlerFailed(text, hint=VALUE_HINT)
    return key.encode("ascii"), value.encode("latin-1")


@lru_cache(MOST_KEPT)
def _content_type(value: str) -> Header | None:
    """The line of a content type: there are few, and every answer has one."""
    return _any_line("content-type", value)


def is_silent(method: str, status: int) -> bool:
    """Whether HTTP sends no body with such an answer, whatever it holds."""
    return method == "HEAD" or status in BODILESS
