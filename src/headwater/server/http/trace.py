"""The trace id of a request: the caller's own where it brings a W3C `traceparent`, else a random one."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

TRACE_HEADER = "x-trace-id"
"""The response header that carries it."""

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
"""Version, trace id, parent id, flags (W3C Trace Context, level 1); only versions after 00 may go on."""

_bits = random.Random().getrandbits  # noqa: S311 - names a request, guards nothing


def trace_id(headers: Mapping[str, str]) -> str:
    """32 hex digits from a valid `traceparent`, else 16 random ones."""
    given = headers.get("traceparent")
    if given is not None:
        parsed = _TRACEPARENT.fullmatch(given)
        if parsed and not (given.startswith("00") and parsed[2]):
            return parsed[1]
    return f"{_bits(64):016x}"
