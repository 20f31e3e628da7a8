"""Trace ids by W3C Trace Context, level 1: the caller's where it brings a `traceparent`, else random ones.

Owns how they are read and made. 128 bits name a trace, 64 bits a span in it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from headwater.model import Trace

TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)
"""Version, trace id, parent id, flags; only versions after 00 may go on."""

_bytes = random.Random().randbytes  # noqa: S311 - names a request, guards nothing


def trace_of(headers: Mapping[str, str]) -> Trace:
    """The trace that a request belongs to. A `traceparent` that is not valid begins a new one."""
    given = headers.get("traceparent")
    if given is not None:
        parsed = TRACEPARENT.fullmatch(given)
        if parsed and not (parsed[1] == "00" and parsed[4]):
            return Trace(parsed[2], parsed[3])
    return Trace(new_trace())


def new_trace() -> str:
    """The id of a trace that begins here."""
    return _bytes(16).hex()


def new_span() -> str:
    """The id of a span of the server's own, for whoever records what it did."""
    return _bytes(8).hex()
