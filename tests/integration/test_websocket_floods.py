"""Floods over real sockets: each is refused with a code that says so, and the observer is told the setting.

What a flood may take of the loop's turns is `test_turns.py`'s; here a neighbour is answered in its midst.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple

import orjson
import pytest
import pytest_asyncio

from headwater.config import SocketSettings
from headwater.server.live.turns import SHARE, TURN
from support.socket_client import CONT, PING, PONG, RawSocket, frame, text
from support.socket_server import SocketStage, socket_stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

BURST = 2000
UNFINISHED = 300_000
FLOODED = "socket.max_frames_per_second"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncGenerator[SocketStage]:
    settings = SocketSettings(
        max_frame_bytes=100_000,
        frame_burst=BURST,
        max_frames_per_second=1,
        max_frame_values=100,
        max_subscriptions=10,
        unfinished_bytes=UNFINISHED,
    )
    async with socket_stage(settings) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def neighbour(stage: SocketStage) -> AsyncGenerator[RawSocket]:
    """Somebody who follows the room, and is told what happens there after all."""
    stage.ear.heard.clear()
    socket = await stage.joined()
    yield socket
    await stage.set("after")
    while (heard := await socket.message())["event"]["type"] not in ("create", "update"):
        pass
    assert heard["event"]["data"]["id"] == "after"
    assert not len(stage.opening.turns)


class Flood(NamedTuple):
    name: str
    frame: bytes


JOIN = orjson.dumps({"type": "join", "data": {"streamName": "chat", "groupId": "g", "subscriptionId": "s"}})
FLOODS = [
    Flood("empty pings", frame(PING)),
    Flood("empty pongs", frame(PONG)),
    Flood("messages of a letter", text("x")),
    Flood("subscribes", text(JOIN)),
    Flood("empty fragments", frame(CONT, fin=False)),
]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
async def test_a_flood_of_frames_is_refused(stage: SocketStage, neighbour: RawSocket, flood: Flood) -> None:
    async with await stage.open() as client:
        if flood.frame[0] == CONT:
            client.send(text("", fin=False))
        client.send(flood.frame * (3 * BURST))
        assert await client.closed() == 1008
    assert stage.ear.limits()[-1] == FLOODED


async def test_as_many_frames_as_may_come_at_once_are_answered(
    stage: SocketStage, neighbour: RawSocket
) -> None:
    async with await stage.open() as client:
        client.send(frame(PING) * BURST)
        for _ in range(BURST):
            answer = await client.frame()
            assert answer is not None
            assert answer.opcode == PONG
    assert stage.ear.limits() == []


async def test_while_a_flood_is_read_others_are_answered(stage: SocketStage, neighbour: RawSocket) -> None:
    """A flood of more turns than one: the neighbour asks behind it, and does not wait until it has ended."""
    async with await stage.open() as client:
        pings = min(BURST - 1, 4 * TURN)
        assert pings > 2 * SHARE
        client.send(frame(PING) * pings)
        while len(stage.opening.turns) == 0:
            await asyncio.sleep(0)
        left = len(stage.sockets)
        neighbour.send(frame(PING, b"here"))
        answer = await neighbour.frame()
        assert answer is not None
        assert (answer.payload, len(stage.sockets)) == (b"here", left)
        for _ in range(pings):
            assert await client.frame() is not None


async def test_a_message_that_holds_too_much_is_refused_and_the_socket_goes_on(
    stage: SocketStage, neighbour: RawSocket
) -> None:
    async with await stage.open() as client:
        client.send(text("[" + "[]," * 30_000 + "[]]"))
        told = (await client.message())["event"]["event"]["data"]
        assert (told["code"], told["limit"]) == ("PROTOCOL_FAULT", 100)
        client.join("other")
        assert await client.kind() == "sync"
    assert stage.ear.limits() == ["socket.max_frame_values"]


async def test_unfinished_messages_have_a_bound_together(stage: SocketStage, neighbour: RawSocket) -> None:
    part = text("x" * 99_999, fin=False)
    clients = [await stage.open() for _ in range(5)]
    for client in clients[:3]:
        client.send(part)
    while stage.opening.unfinished.used < 3 * 99_999:
        await asyncio.sleep(0)
    assert stage.ear.limits() == []
    clients[3].send(part[:1000])
    assert await clients[0].closed() == 1013
    assert stage.ear.limits() == ["socket.unfinished_bytes"]
    assert stage.opening.unfinished.used <= UNFINISHED
    clients[4].join()
    assert await clients[4].kind() == "sync"
    for client in clients:
        await client.end()
    while stage.opening.unfinished.used:
        await asyncio.sleep(0)


async def test_who_finishes_messages_and_begins_others_is_not_the_oldest(
    stage: SocketStage, neighbour: RawSocket
) -> None:
    part, small = text("x" * 99_999, fin=False), text("x" * 1000)
    busy, idle, *others = [await stage.open() for _ in range(4)]
    busy.send(small[:500])
    while not stage.opening.unfinished.used:
        await asyncio.sleep(0)
    idle.send(part)
    while stage.opening.unfinished.used < 99_999:
        await asyncio.sleep(0)
    for _ in range(2):
        busy.send(small[500:] + small[:500])
        assert await busy.kind() == "event"
    for other in others:
        other.send(part)
    busy.send(small[500:] + part[:5000])
    assert await idle.closed() == 1013
    assert await busy.kind() == "event"
    for client in (busy, idle, *others):
        await client.end()


async def test_a_flood_whose_client_has_left_is_thrown_away(stage: SocketStage, neighbour: RawSocket) -> None:
    open_before = len(stage.sockets)
    client = await stage.open()
    client.send(frame(CONT, fin=False) * (3 * BURST))
    await client.end()
    while len(stage.sockets) > open_before:
        await asyncio.sleep(0)
    assert stage.opening.unfinished.used == 0
