"""What HTTP allows in a step's response: status, names and values of headers, whether there is a body.

The one owner of these rules for the server and for Python workers; the Node worker keeps the same ones, and
`spec/fixtures/responses.json` holds both to them. Sources: RFC 9110, sections 5.1, 5.5, 6.4.1 and 15.
"""

from __future__ import annotations

import re
from typing import TypeGuard

LEAST_STATUS = 200
"""Below it are interim responses, after which the real one must follow."""

MOST_STATUS = 599

BODILESS = frozenset({204, 205, 304})
"""Statuses whose responses have no body, whatever the step answers."""

LENGTHLESS = frozenset({204, 304})
"""Of these, the ones that do not even tell its length."""

TRACE_HEADER = "x-trace-id"
"""Carries the trace id of the request."""

SERVER_OWNED = frozenset(
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
"""Headers that are the server's own: those of the connection, and its signature. From a step they are
dropped."""

STATUS_RULE = f"a whole number from {LEAST_STATUS} to {MOST_STATUS}"
VALUE_HINT = "Only Latin-1 text without line breaks; percent-encode the rest."

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def is_status(value: object) -> TypeGuard[int]:
    """Whether it is the status of a whole response."""
    return isinstance(value, int) and not isinstance(value, bool) and LEAST_STATUS <= value <= MOST_STATUS


def is_name(text: str) -> bool:
    """Whether a header may have this name."""
    return _NAME.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """Whether a header may hold this: Latin-1 without control characters, tabs aside."""
    return _VALUE.fullmatch(text) is not None
