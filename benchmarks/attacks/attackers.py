"""Clients that mean harm, each a function that attacks once and returns when it is refused or has said all.
Run as a process of its own: `python -m benchmarks.attacks.attackers PORT NAME SECONDS`."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from benchmarks.measure.frames import opening

SECONDS = 5.0
EMPTY_MASK = b"\0\0\0\0"
PING = b"\x89\x80" + EMPTY_MASK
FRAGMENT = b"\x00\x80" + EMPTY_MASK
BEGIN = b"\x01\x80" + EMPTY_MASK
LETTER = b"\x81\x81" + EMPTY_MASK + b"x"
MIB = 1024 * 1024


def text(message: bytes, *, final: bool = True) -> bytes:
    """A text frame that is masked with zeros."""
    head = bytes([0x81 if final else 0x01])
    if len(message) < 126:
        return head + bytes([0x80 | len(message)]) + EMPTY_MASK + message
    return head + b"\xff" + len(message).to_bytes(8, "big") + EMPTY_MASK + message


def sent(port: int, *pieces: bytes, upgrade: bool = True, linger: float = 0.0) -> None:
    """Send it all on one connection, as far as the server takes it, and read nothing but the handshake."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as peer, suppress(OSError):
        if upgrade:
            peer.sendall(opening("headwater.v1"))
            peer.recv(4096)
        for piece in pieces:
            peer.sendall(piece)
        time.sleep(linger)


def posted(port: int, kind: bytes, body: bytes) -> None:
    """Post a body, and wait for the answer's first bytes."""
    head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 60) as peer, suppress(OSError):
        peer.sendall(head % (kind, len(body)) + body)
        peer.recv(4096)


def subscribes(count: int) -> Iterable[bytes]:
    """So many subscriptions, each to a group of its own."""
    message = b'{"t":"sub","sub":%d,"stream":"room","group":"g%d"}'
    yield b"".join(text(message % (number, number)) for number in range(count))


def pipelined(port: int) -> None:
    """Requests in one go from a client that leaves at once."""
    sent(port, b"GET /noop HTTP/1.1\r\nhost: localhost\r\n\r\n" * 60_000, upgrade=False)


def trailers(port: int) -> None:
    """A body without end behind its end."""
    head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    sent(port, head, *[b"x-trailer: value\r\n" * 4096] * 500, upgrade=False)


def unfinished(port: int) -> None:
    """Two thousand sockets that each hold most of a message."""
    part = text(b"x" * MIB)[:-1]
    peers: list[socket.socket] = []
    for _ in range(2000):
        with suppress(OSError):
            peer = socket.create_connection(("127.0.0.1", port), SECONDS)
            peers.append(peer)
            peer.sendall(opening("headwater.v1"))
            peer.recv(4096)
            peer.sendall(part)
    for peer in peers:
        peer.close()


def held(port: int, count: int, begin: bytes, piece: bytes = b"", seconds: float = 2.0) -> None:
    """So many connections that begin something and go on a piece at a time, and read nothing."""
    peers: list[socket.socket] = []
    for _ in range(count):
        with suppress(OSError):
            peer = socket.create_connection(("127.0.0.1", port), SECONDS)
            peers.append(peer)
            peer.sendall(begin)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for peer in peers if piece else ():
            with suppress(OSError):
                peer.sendall(piece)
        time.sleep(0.2)
    for peer in peers:
        peer.close()


def come_and_go(port: int) -> None:
    """Connections, one after the other, that say nothing."""
    for _ in range(2000):
        socket.create_connection(("127.0.0.1", port), SECONDS).close()


def large_heads(port: int) -> None:
    """Heads as large as they may be and larger, of requests for nothing."""
    for line in (b"x: y\r\n" * 450, b"x: " + b"y" * 30_000 + b"\r\n", b"cookie: a=b;c=d\r\n" * 4000):
        sent(port, b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n" + line + b"\r\n", upgrade=False)


def shakes(port: int) -> None:
    """WebSocket handshakes, one after the other, each with a token that somebody made up."""
    for number in range(500):
        with socket.create_connection(("127.0.0.1", port), SECONDS) as peer, suppress(OSError):
            peer.sendall(opening(f"headwater.v1, headwater.token.{number}"))
            peer.recv(4096)


HEAD = b"GET /noop HTTP/1.1\r\nhost: localhost\r\n"
BODY = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n"

ATTACKS: dict[str, Callable[[int], None]] = {
    "200,000 empty pings": lambda port: sent(port, PING * 200_000, linger=0.5),
    "200,000 texts of a letter": lambda port: sent(port, LETTER * 200_000, linger=0.5),
    "200,000 empty fragments": lambda port: sent(port, BEGIN + FRAGMENT * 200_000, linger=0.5),
    "100,000 subscribes": lambda port: sent(port, *subscribes(100_000), linger=0.5),
    "27 messages of 1 MiB of [[],...]": lambda port: sent(
        port, *[text(b"[" + b"[]," * 349_000 + b"[]]")] * 27, linger=0.5
    ),
    "31 MB of [], as JSON": lambda port: posted(
        port, b"application/json", b"[" + b"[]," * 10_300_000 + b"[]]"
    ),
    "900,000 empty objects as JSON": lambda port: posted(
        port, b"application/json", b"[" + b"{}," * 900_000 + b"{}]"
    ),
    "30 MB of prose as JSON": lambda port: posted(
        port, b"application/json", b'{"n":"' + b"hello, you. " * 2_500_000 + b'"}'
    ),
    "8 MB of %41 as a form": lambda port: posted(
        port, b"application/x-www-form-urlencoded", b"a=" + b"%41" * 2_790_000
    ),
    "60,000 pipelined requests": pipelined,
    "33 MB of trailers": trailers,
    "2,000 unfinished messages of 1 MiB": unfinished,
    "1,000 heads that trickle in": lambda port: held(port, 1000, HEAD, b"x: y\r\n"),
    "1,000 bodies that trickle in": lambda port: held(port, 1000, BODY, b"xxxx"),
    "1,000 silent connections": lambda port: held(port, 1000, b""),
    "2,000 connections that come and go": come_and_go,
    "500 handshakes, each with a token": shakes,
    "heads of 30 kB": large_heads,
}


def main() -> None:
    """Attack again and again, for so many seconds."""
    port, name, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            ATTACKS[name](port)


if __name__ == "__main__":
    main()
