"""The head of a request that offers another protocol, written anew without the offer. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.server.http.cors import Header

_OFFERS = frozenset({b"upgrade", b"http2-settings"})
_KEPT = frozenset({b"close", b"keep-alive"})
"""What of `connection` is about the connection itself; other tokens name headers of the offer."""


def without_upgrade(start: bytes, headers: Iterable[Header]) -> bytes:
    """A request line and headers as bytes, without what asks for another protocol."""
    lines = [start]
    for name, value in headers:
        if name == b"connection":
            lines.append(
                name + b": " + b",".join(one for one in value.lower().split(b",") if one.strip() in _KEPT)
            )
        elif name not in _OFFERS:
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
