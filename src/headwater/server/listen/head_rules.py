"""What HTTP asks of the head of a request, and the parser lets pass. Pure, but for what `Hosts` tells.

- A version other than 1.0 and 1.1: refused. Where a proxy in front reads it otherwise, two requests are one.
- Two Host headers, or none in a request of HTTP/1.1: refused.
- Two Authorization headers: refused. A proxy that looks at one of them has not seen the other.
- A Host that is none of the server's names: refused.
- A transfer coding beside `chunked`: refused, for it would reach the step undone.
- A body behind the head of a WebSocket handshake: refused, for it would be read as frames.
"""

from __future__ import annotations

from collections.abc import Iterable

from headwater.errors import RequestInvalid
from headwater.server.http.cors import Header
from headwater.server.http.hosts import Hosts

VERSIONS = ("1.1", "1.0")


def check_head(version: str, headers: Iterable[Header], hosts: Hosts, *, opens_socket: bool) -> None:
    """Look at a head; header names are in lower case. `opens_socket`: it asks for a WebSocket.

    :raises RequestInvalid: it breaks a rule of HTTP.
    :raises HostRefused: it is for another server.
    """
    if version not in VERSIONS:
        raise RequestInvalid(f"HTTP/{version} is not spoken here, HTTP/1.1 is")
    host: bytes | None = None
    has_body = authorized = False
    for name, value in headers:
        if name == b"host":
            if host is not None:
                raise RequestInvalid("a request has one Host header, this one has more")
            host = value
        elif name == b"authorization":
            if authorized:
                raise RequestInvalid("a request has one Authorization header, this one has more")
            authorized = True
        elif name == b"transfer-encoding":
            has_body = True
            if value.strip().lower() != b"chunked":
                raise RequestInvalid("the only transfer coding that is understood is chunked")
        elif name == b"content-length":
            has_body = has_body or bool(value.strip(b"0 "))
    if opens_socket and has_body:
        raise RequestInvalid("a request that opens a WebSocket has no body")
    if host is not None:
        hosts.check(host.decode("latin-1"))
    elif version == "1.1":
        raise RequestInvalid("a request of HTTP/1.1 needs a Host header")
