"""Clients of protocol v0 over real sockets: their limits, their neighbours, and those that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.config import ServerSettings, SocketSettings
from headwater.server.live.keepalive import look
from headwater.server.live.websocket import WebSocket
from support.socket_client import CLOSE, PING, TEXT, RawSocket, frame, text
from support.socket_server import SocketStage, socket_stage

HIGH_WATER = 64 * 1024
SETTINGS = SocketSettings(
    max_frame_bytes=2000, max_subscriptions=5, max_id_bytes=50, high_water_bytes=HIGH_WATER
)


@pytest.fixture
async def stage() -> AsyncGenerator[SocketStage]:
    async with socket_stage(SETTINGS) as stage:
        yield stage


def server_side(stage: SocketStage, client: RawSocket) -> WebSocket:
    address = client.writer.get_extra_info("sockname")
    return next(one for one in stage.sockets if one.transport.get_extra_info("peername") == address)


async def error(client: RawSocket) -> dict[str, Any]:
    """The next message, which must tell of an error."""
    event = (await client.message())["event"]
    assert (event["type"], event["event"]["type"]) == ("event", "error")
    return event["event"]["data"]


class TestBadMessages:
    @pytest.mark.parametrize("message", ["", "hello", "{", "null", '{"type": "join"}', "[" * 1500])
    async def test_are_told_and_the_socket_goes_on(self, stage: SocketStage, message: str) -> None:
        one, two = await stage.joined(), await stage.joined()
        one.send(text(message))
        assert (await error(one))["code"] == "PROTOCOL_FAULT"
        await stage.set("a")
        assert await one.kind() == await two.kind() == "create"


class TestLimits:
    async def test_of_subscriptions_are_told_and_the_others_stay(self, stage: SocketStage) -> None:
        one = await stage.open()
        for name in "abcdef":
            one.join(item=name)
        kinds = [(await one.message())["event"]["type"] for _ in range(6)]
        assert sorted(kinds) == ["event", *["sync"] * 5]
        await stage.set("e")
        assert await one.kind() == "create"

    async def test_of_names_are_told(self, stage: SocketStage) -> None:
        one = await stage.open()
        one.join("x" * 51)
        assert (await error(one))["field"] == "data.groupId"

    async def test_of_messages_close_that_socket_alone(self, stage: SocketStage) -> None:
        one, two = await stage.joined(), await stage.joined()
        one.send(text("x" * 2001))
        assert await one.closed() == 1009
        await stage.set("a")
        assert await two.kind() == "create"

    async def test_of_unknown_streams_are_told(self, stage: SocketStage) -> None:
        one = await stage.open()
        one.join(stream="nope")
        assert (await error(one))["code"] == "STREAM_UNKNOWN"


async def flood(stage: SocketStage, number: int, size: int = 20_000) -> None:
    """Write one item again and again, each time with a turn for the sockets."""
    for n in range(number):
        await stage.set("a", n=n, text="x" * size)
        await asyncio.sleep(0)


async def read_until(client: RawSocket, wanted: Any) -> list[dict[str, Any]]:
    """Read messages until one carries this data."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["event"].get("data") != wanted:
        found.append(await client.message())
    return found


class TestAClientThatDoesNotRead:
    async def test_is_held_to_its_high_water_mark_and_gets_the_latest_when_it_reads(
        self, stage: SocketStage
    ) -> None:
        slow, fast = await stage.joined(), await stage.joined()
        socket = server_side(stage, slow)
        slow.deafen()
        flooding = asyncio.create_task(flood(stage, 1000))
        latest = {"n": 999, "text": "x" * 20_000, "id": "a"}
        assert len(await read_until(fast, latest)) == 1000
        await flooding
        assert socket.full_since is not None
        assert socket.transport.get_write_buffer_size() < HIGH_WATER + 50_000
        slow.listen()
        received = await read_until(slow, [latest])
        assert received[-1]["event"]["type"] == "sync"
        assert len(received) < 1000
        stamps = [message["timestamp"] for message in received]
        assert stamps == sorted(set(stamps))
        await stage.set("a", n=-1)
        assert (await slow.message())["event"]["data"]["n"] == -1

    async def test_cannot_make_the_server_pile_up_answers(self, stage: SocketStage) -> None:
        one, two = await stage.open(), await stage.joined()
        socket = server_side(stage, one)
        one.deafen()
        ping = frame(PING, b"x" * 125) * 500
        for _ in range(200):
            one.send(ping + text("no json") * 500)
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while socket.full_since is None:
                await asyncio.sleep(0.001)
        assert socket.transport.get_write_buffer_size() < HIGH_WATER + 1_000_000
        await stage.set("a")
        assert await two.kind() == "create"

    async def test_is_let_go_after_the_stall_timeout_and_not_before(self, stage: SocketStage) -> None:
        one = await stage.joined()
        socket = server_side(stage, one)
        one.deafen()
        await flood(stage, 800)
        assert socket.full_since is not None
        socket.pinged = socket.full_since - 1000
        look(socket, socket.full_since + SETTINGS.stall_timeout - 1, SETTINGS)
        assert not socket.transport.is_closing()
        look(socket, socket.full_since + SETTINGS.stall_timeout + 1, SETTINGS)
        assert socket.transport.is_closing()
        async with asyncio.timeout(60):
            while stage.sockets:
                await asyncio.sleep(0.001)

    async def test_leaves_no_trace_when_it_goes_away(self, stage: SocketStage) -> None:
        one = await stage.joined()
        one.deafen()
        await flood(stage, 800)
        one.writer.transport.abort()
        async with asyncio.timeout(60):
            while stage.sockets:
                await flood(stage, 1)
        assert stage.hub.groups == []


class TestAnIdleClient:
    async def test_is_pinged_and_stays_when_it_answers(self, stage: SocketStage) -> None:
        one = await stage.joined()
        socket = server_side(stage, one)
        look(socket, socket.heard + SETTINGS.ping_interval + 1, SETTINGS)
        assert await one.frame() == (PING, b"")
        one.send(frame(0xA))
        async with asyncio.timeout(60):
            while socket.pinged is not None:
                await asyncio.sleep(0.001)
        look(socket, socket.heard + SETTINGS.ping_interval - 1, SETTINGS)
        assert socket.pinged is None

    async def test_is_let_go_when_it_does_not_answer(self, stage: SocketStage) -> None:
        one = await stage.joined()
        socket = server_side(stage, one)
        pinged = socket.heard + SETTINGS.ping_interval + 1
        look(socket, pinged, SETTINGS)
        look(socket, pinged + SETTINGS.ping_timeout + 1, SETTINGS)
        assert await one.frame() == (PING, b"")
        assert await one.frame() is None


async def test_a_room_of_many_sockets_gets_every_change_once_and_in_order() -> None:
    async with socket_stage() as stage:
        clients = [await stage.joined() for _ in range(50)]
        for n in range(100):
            await stage.set("a", n=n)
        for client in clients:
            assert [(await client.message())["event"]["data"]["n"] for _ in range(100)] == list(range(100))


async def test_a_socket_may_join_thousands_of_rooms_and_one_by_one_leave_them() -> None:
    async with socket_stage(SocketSettings(max_subscriptions=2000)) as stage:
        one = await stage.open()
        for number in range(2000):
            one.join(f"room {number}")
        for _ in range(2000):
            assert await one.kind() == "sync"
        for number in range(2000):
            data = {"streamName": "chat", "groupId": f"room {number}", "subscriptionId": "s"}
            one.send(text(orjson.dumps({"type": "leave", "data": data})))
        async with asyncio.timeout(60):
            while stage.hub.groups:
                await asyncio.sleep(0.001)


async def test_more_sockets_than_the_server_takes_are_refused() -> None:
    async with socket_stage(SocketSettings(), ServerSettings(max_connections=3)) as stage:
        clients = [await stage.open() for _ in range(3)]
        refused = await RawSocket.connect(stage.port)
        assert (await refused.shake()).status == 503
        await refused.end()
        for client in clients:
            client.join()
            assert await client.kind() == "sync"
        await clients[0].end()
        async with asyncio.timeout(60):
            while len(stage.sockets) == 3:
                await asyncio.sleep(0.001)
        await stage.open()


async def test_a_close_reaches_the_client_before_the_end() -> None:
    async with socket_stage() as stage:
        one = await stage.joined()
        server_side(stage, one).close(4001, "enough")
        assert await one.frame() == (CLOSE, (4001).to_bytes(2, "big") + b"enough")
        one.send(frame(TEXT, b"late"))
        one.send(frame(CLOSE, (4001).to_bytes(2, "big")))
        assert await one.frame() is None
