"""What HTTP demands of an answer: framing headers, header syntax, answers without a body.

Everything is checked before the first byte leaves: afterwards a fault could only cut the connection.
"""

from __future__ import annotations

import re

from headwater.errors import HandlerFailed
from headwater.server.http.cors import Header
from headwater.server.http.trace import TRACE_HEADER
from headwater.steps.project.declare import ApiResponse

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "trailer",
        "transfer-encoding",
        "upgrade",
        TRACE_HEADER,
    }
)
"""Headers that are the server's own, whatever a step answers: those of the connection, and its signature."""

_BODILESS = frozenset({204, 205, 304})
_LENGTHLESS = frozenset({204, 304})


def encode_headers(response: ApiResponse) -> list[Header]:
    """The header lines of an answer, with its content length.

    Raises HandlerFailed for a status or a header that HTTP does not allow.
    """
    if not 200 <= response.status <= 599:
        raise HandlerFailed(f"the step answered the status {response.status}, which is none of 200 to 599")
    lines: list[Header] = []
    for name, value in response.headers:
        key = name.lower()
        if key in _OURS:
            continue
        if not _TOKEN.fullmatch(name) or _UNPRINTABLE.search(value):
            raise HandlerFailed(f'the step answered a header that HTTP does not allow: "{ascii(name)[1:-1]}"')
        try:
            lines.append((key.encode("ascii"), value.encode("latin-1")))
        except UnicodeEncodeError:
            lines.append((key.encode("ascii"), value.encode()))
    if response.status not in _LENGTHLESS:
        length = 0 if response.status in _BODILESS else len(response.body)
        lines.append((b"content-length", b"%d" % length))
    return lines


def is_silent(method: str, status: int) -> bool:
    """Whether HTTP sends no body with such an answer, whatever it holds."""
    return method == "HEAD" or status in _BODILESS
