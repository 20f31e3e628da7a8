"""What a client refuses by itself, in the form of the server's errors."""

from __future__ import annotations

from typing import Any

import orjson

OFFLINE = "OFFLINE"
"""The code where nobody could be asked."""

STREAM_UNKNOWN = "STREAM_UNKNOWN"
"""The server's code for a stream that there is not; it tells when there is."""

_SPARE_BYTES = 32
"""What the number of a question adds to its message."""


def offline(message: str) -> dict[str, Any]:
    """The refusal where nobody could be asked."""
    return {"code": OFFLINE, "message": message}


def too_large(message: dict[str, Any], most: int) -> dict[str, Any] | None:
    """Why a message must not be sent, if so: the server ends a connection on which one of more than `most`
    bytes comes."""
    size = len(orjson.dumps(message)) + _SPARE_BYTES
    if size <= most:
        return None
    said = f"A message of {size} bytes is more than the server takes ({most})."
    return {"code": "TOO_LARGE", "message": said}
