"""Whoever takes a place and does nothing with it: heads, bodies and handshakes that trickle in or never come,
connections by the hundred, answers that nobody reads. They are let go, and nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from support.hostile import GROUP, ROOM, SECONDS, V1, Attacked, attacked
from support.socket_client import RawSocket, handshake

MANY = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    settings = ("server.read_timeout=1", "server.write_timeout=1", "server.keepalive_timeout=1")
    sockets = ("socket.ping_interval=1", "socket.ping_timeout=1", "server.max_header_bytes=8192")
    with attacked(tmp_path_factory.mktemp("slow") / "project", *settings, *sockets) as server:
        yield server


@asynccontextmanager
async def connections(server: Attacked, begin: bytes) -> AsyncGenerator[list[RawSocket]]:
    """Many that have begun to say something."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await RawSocket.connect(server.port)) for _ in range(MANY)]
        for client in clients:
            client.send(begin)
        yield clients


async def ends(client: RawSocket, piece: bytes = b"") -> bytes:
    """All that the server says until it ends the connection, while pieces go on coming."""
    said = asyncio.create_task(client.reader.read(-1))
    async with asyncio.timeout(SECONDS):
        while not said.done():
            if piece and not client.writer.is_closing():
                client.send(piece)
            await asyncio.wait([said], timeout=0.05)
    return b"" if said.exception() else said.result()


HEAD = b"GET /echo HTTP/1.1\r\nhost: localhost\r\n"
BODY = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
SHAKE = handshake(1, headers={**V1, "Host": "localhost"})[:-2]

SLOW = {
    "nothing at all": (b"", b"", b""),
    "a head that never ends": (HEAD, b"", b"408"),
    "a head that trickles in": (HEAD, b"x: y\r\n", b"408"),
    "a header that trickles in": (HEAD + b"x: ", b"y", b"408"),
    "a body that never comes": (BODY, b"", b"408"),
    "a body that trickles in": (BODY, b"x", b"408"),
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n", b"408"),
    "a handshake that never ends": (SHAKE, b"", b"408"),
    "a handshake that trickles in": (SHAKE, b"x: y\r\n", b"408"),
}


@pytest.mark.parametrize(("begin", "piece", "status"), SLOW.values(), ids=SLOW.keys())
async def test_who_takes_all_the_time_of_the_world_is_let_go(
    server: Attacked, begin: bytes, piece: bytes, status: bytes
) -> None:
    async with server.beside() as behaved, connections(server, begin) as clients:
        await behaved.answers(3)
        for said in await asyncio.gather(*(ends(client, piece) for client in clients)):
            assert said[9:12] == status or (piece and not said)


async def test_who_reads_nothing_is_let_go_with_what_was_for_them(server: Attacked) -> None:
    await server.fill("large", 8_000_000)
    whole = f"GET /streams/{ROOM}/large HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
    live = whole.replace(b"\r\n\r\n", b"\r\naccept: text/event-stream\r\n\r\n")
    async with server.beside() as behaved, AsyncExitStack() as stack:
        for ask in (whole, live) * 5:
            client = await stack.enter_async_context(await RawSocket.connect(server.port))
            client.deafen()
            client.send(ask)
        await server.until_held("unread answers", bool)
        await behaved.answers(5)
        await server.until_held("unread answers", lambda held: not held)


async def test_sockets_that_are_silent_for_ever_are_let_go(server: Attacked) -> None:
    async with server.beside() as behaved, server.sockets(MANY) as sockets:
        for socket in sockets:
            socket.deafen()
        await behaved.answers(3)
        for socket in sockets:
            socket.listen()
            async with asyncio.timeout(SECONDS):
                while await socket.frame() is not None:
                    pass


async def test_headers_by_the_thousand_are_refused(server: Attacked) -> None:
    async with server.beside() as behaved:
        for flood in (b"x: y\r\n" * 5000, b"x: " + b"y" * 100_000 + b"\r\n", b"cookie: a=b\r\n" * 5000):
            async with await RawSocket.connect(server.port) as client:
                client.send(HEAD + flood + b"\r\n")
                assert (await ends(client))[9:12] == b"431"
        await behaved.answers(3)


async def test_connections_that_come_and_go_leave_nothing(server: Attacked) -> None:
    async with server.beside() as behaved:
        for _ in range(5):
            for begin in (b"", HEAD, BODY, f"GET /streams/{ROOM}/{GROUP} HTTP/1.1\r\n".encode()):
                async with connections(server, begin):
                    pass
            await behaved.answers(2)
