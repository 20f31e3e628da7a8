"""Where peers come from: the one place that makes a `Peer` of a request or of a socket's handshake.

Owns what of a transport goes into it. What it means is `peer.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

from starlette.types import Scope
from websockets.http11 import Request

from headwater.peer import PackedHeaders, Peer, PeerKind

CLIENT = "headwater.client"
"""Name in the state that a WebSocket protocol is given: a `Told`, where more is known than it sees."""


class Place(Protocol):
    """What a connection takes among those of its address."""

    def leave(self) -> None:
        """Take it no more; once is enough."""
        ...


class Told(NamedTuple):
    """What is known of a handshake beside its head: the client's `address` where a proxy told it ("" for
    none), whether it came by TLS, and the place that it leaves when it ends."""

    address: str = ""
    secure: bool = False
    place: Place | None = None


UNTOLD = Told()

_HANDSHAKE = frozenset(
    {
        "connection",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-version",
        "upgrade",
    }
)
"""Headers that say nothing of who asks, and are not kept for the life of a socket."""


def peer_of_request(scope: Scope, headers: Mapping[str, str], kind: PeerKind = "http") -> Peer:
    """Who sent an HTTP request; `headers` are its headers, read already."""
    query: bytes = scope["query_string"]
    path: str = scope.get("headwater.path") or scope["path"]
    client = scope.get("client")
    url = f"{path}?{query.decode('latin-1')}" if query else path
    secure = scope.get("scheme") == "https"
    return Peer(kind, url, client[0] if client else "", headers, secure=secure)


def peer_of_handshake(
    request: Request, transport: asyncio.BaseTransport | None = None, told: Told = UNTOLD
) -> Peer:
    """Who opened a socket, at the address that was told, or else at the other end. Its headers stay packed: a
    socket lives long and is seldom asked."""
    lines = [
        f"{name}: {value}" for name, value in request.headers.raw_items() if name.lower() not in _HANDSHAKE
    ]
    packed = PackedHeaders("\r\n".join(lines).encode("utf-8", "surrogateescape"))
    address = told.address or _host(transport and transport.get_extra_info("peername"))
    return Peer("websocket", request.path, address, packed, secure=told.secure)


def _host(peername: Any) -> str:
    """The address of a TCP peer; a local socket has none."""
    return cast("tuple[str, ...]", peername)[0] if isinstance(peername, tuple) and peername else ""
