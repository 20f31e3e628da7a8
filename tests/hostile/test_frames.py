"""Attacks by WebSocket frames: floods, messages that never end, answers that nobody reads, people that come
and go. Whoever attacks is refused; whoever behaves is answered, and ends with what the store holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import orjson
import pytest

from support.hostile import GROUP, ROOM, Attacked, attacked
from support.socket_client import CONT, PING, PONG, TEXT, RawSocket, frame, text

BURST = 3000
UNFINISHED = 1_000_000
UNREAD = 20_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    settings = (
        f"socket.frame_burst={BURST}",
        "socket.max_frames_per_second=100",
        f"socket.unfinished_bytes={UNFINISHED}",
        f"server.unread_bytes={UNREAD}",
        "streams.max_presence_left=500",
    )
    with attacked(tmp_path_factory.mktemp("frames") / "project", *settings) as server:
        yield server


class Flood(NamedTuple):
    name: str
    begin: bytes
    frame: bytes


SUBSCRIBE = orjson.dumps({"t": "sub", "sub": 1, "stream": ROOM, "group": GROUP})
FLOODS = [
    Flood("empty pings", b"", frame(PING)),
    Flood("pongs nobody asked for", b"", frame(PONG, b"x" * 100)),
    Flood("messages of a letter", b"", text("x")),
    Flood("empty fragments", text("", fin=False), frame(CONT, fin=False)),
    Flood("the same subscription", b"", text(SUBSCRIBE)),
    Flood("pings of the protocol", b"", text('{"t":"ping"}')),
]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
async def test_a_flood_is_refused_and_whoever_behaves_is_answered_in_its_midst(
    server: Attacked, flood: Flood
) -> None:
    async with server.beside() as behaved, await server.socket() as socket:
        socket.send(flood.begin + flood.frame * (BURST // 2))
        await behaved.answers(3)
        socket.send(flood.frame * (2 * BURST))
        assert await socket.closed() == 1008


async def test_many_flood_at_once(server: Attacked) -> None:
    async with server.beside() as behaved, server.sockets(10) as sockets:
        for socket in sockets:
            socket.send(text("", fin=False) + frame(CONT, fin=False) * (2 * BURST))
        await behaved.answers(5)
        assert [await socket.closed() for socket in sockets] == [1008] * 10


async def test_messages_of_a_million_values_are_refused_one_by_one(server: Attacked) -> None:
    async with server.beside() as behaved, await server.socket() as socket:
        message = frame(TEXT, b"[" + b"[]," * 330_000 + b"[]]")
        socket.send(message * 10)
        for _ in range(10):
            told = await socket.message()
            assert (told["t"], told["code"]) == ("error", "PROTOCOL_FAULT")
        await behaved.answers(3)
        socket.send(text('{"t":"ping"}'))
        assert (await socket.message())["t"] == "pong"


async def test_messages_that_never_end_have_a_bound_together(server: Attacked) -> None:
    part = frame(TEXT, b"x" * 100_000, fin=False)
    async with server.beside() as behaved, server.sockets(2 * UNFINISHED // 100_000) as sockets:
        for socket in sockets:
            socket.send(part)
        await behaved.answers(3)
        await server.until_held("unfinished messages", lambda held: 0 < held <= UNFINISHED)
        assert await sockets[0].closed() == 1013


async def test_whoever_asks_for_all_and_reads_nothing_is_let_go(server: Attacked) -> None:
    """Each asks for a group of megabytes; the first of them are cut off once all together leave too much."""
    await server.fill("large", 8_000_000)
    async with server.beside() as behaved, server.sockets(12) as deaf:
        for number, socket in enumerate(deaf):
            socket.deafen()
            socket.send(text(orjson.dumps({"t": "sub", "sub": number, "stream": ROOM, "group": "large"})))
        await behaved.answers(5)
        await server.until_held("unread answers", lambda held: 0 < held <= UNREAD)
        deaf[0].listen()
        assert await deaf[0].closed() is None


async def test_people_who_come_and_go_leave_little_behind(server: Attacked) -> None:
    async with server.beside() as behaved, await server.socket() as socket:
        for number in range(BURST // 2 - 100):
            came = {"t": "sub", "sub": number, "stream": ROOM, "group": "lobby", "state": {"name": "Ada"}}
            socket.send(text(orjson.dumps(came)) + text(orjson.dumps({"t": "unsub", "sub": number})))
        socket.send(text('{"t":"ping"}'))
        await behaved.answers(3)
        await _until_pong(socket)
        await server.until_held("presences that left", lambda held: 0 < held <= 500)


async def test_bytes_that_are_no_frames_end_their_socket_alone(server: Attacked) -> None:
    async with server.beside() as behaved:
        for odd, code in ((b"\xff" * 64, 1002), (frame(TEXT, b"\xff\xfe"), 1007), (frame(0x3), 1002)):
            async with await server.socket() as socket:
                socket.send(odd)
                assert await socket.closed() == code
        await behaved.answers(3)


async def _until_pong(socket: RawSocket) -> None:
    async with asyncio.timeout(60):
        while (await socket.message())["t"] != "pong":
            pass
