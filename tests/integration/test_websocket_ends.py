"""How sockets end: by a close on either side, half-closed, silent, at shutdown. Nobody else notices."""

from __future__ import annotations

import asyncio
import socket as sockets
import struct
from collections.abc import AsyncGenerator, Callable

import pytest

from headwater.config import SocketSettings
from headwater.protocol.clients.rfc6455 import text_frame
from headwater.server.live import websocket as websocket_module
from headwater.server.live.websocket import WebSocket
from support.socket_client import BINARY, CLOSE, CONT, PING, TEXT, RawSocket, close, frame, text
from support.socket_server import SocketStage, socket_stage
from support.stream_store import turns


@pytest.fixture
async def stage() -> AsyncGenerator[SocketStage]:
    settings = SocketSettings(max_frame_bytes=1000, high_water_bytes=50_000)
    async with socket_stage(settings) as stage:
        yield stage


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def server_side(stage: SocketStage, client: RawSocket) -> WebSocket:
    """The server's object for a client."""
    address = client.writer.get_extra_info("sockname")
    return next(one for one in stage.sockets if one.transport.get_extra_info("peername") == address)


BAD = {
    "a close": close(1000),
    "a binary message": frame(BINARY, b"x"),
    "a protocol error": frame(CONT, b"x"),
    "a message too large": frame(TEXT, size=1001),
    "bad UTF-8": text(b"\xff"),
}


class TestAfterAClose:
    @pytest.mark.parametrize("sent", BAD.values(), ids=BAD.keys())
    async def test_a_room_still_reaches_everybody_else(self, stage: SocketStage, sent: bytes) -> None:
        """The frames of a room may leave in the very turn in which one of its sockets begins to close."""
        one, two = await stage.joined(), await stage.joined()
        closing = server_side(stage, one)
        closing.data_received(sent)
        assert closing.offer(text_frame(b"late")) is False
        await stage.set("a")
        assert await two.kind() == "create"
        received = await one.frame()
        assert received is not None
        assert received.opcode == CLOSE

    async def test_nothing_that_came_with_it_is_carried_out(self, stage: SocketStage) -> None:
        one = await stage.open()
        server_side(stage, one).data_received(frame(BINARY, b"x") + text('{"type": "join"}'))
        received = await one.frame()
        assert received is not None
        assert received.opcode == CLOSE
        assert await one.frame() is None

    async def test_its_subscriptions_are_gone_at_once(self, stage: SocketStage) -> None:
        one = await stage.joined()
        server_side(stage, one).data_received(close(1000))
        assert stage.hub.groups == []

    async def test_a_client_that_goes_on_sending_still_gets_to_read_why(self, stage: SocketStage) -> None:
        """Data behind a connection that is gone is answered by a reset, which throws away what the client has
        not read."""
        one = await stage.open()
        one.send(frame(TEXT, size=1_000_000))
        for _ in range(200):
            one.send(b"x" * 10_000)
            await asyncio.sleep(0)
        assert await one.closed() == 1009

    async def test_a_client_that_does_not_answer_is_let_go(
        self, stage: SocketStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket_module, "CLOSING_SECONDS", 0.05)
        one = await stage.open()
        one.send(frame(BINARY, b"x"))
        await until(lambda: not stage.sockets)

    async def test_a_client_that_does_not_read_is_let_go(
        self, stage: SocketStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket_module, "CLOSING_SECONDS", 0.05)
        one = await stage.joined()
        socket = server_side(stage, one)
        one.deafen()
        while socket.full_since is None:
            socket.offer(text_frame(b"x" * 10_000))
            await asyncio.sleep(0)
        socket.close(1000, "enough")
        await until(lambda: not stage.sockets)

    async def test_the_server_waits_for_the_clients_answer(self, stage: SocketStage) -> None:
        one = await stage.open()
        server_side(stage, one).close(4000, "enough")
        assert await one.frame() == (CLOSE, (4000).to_bytes(2, "big") + b"enough")
        await turns()
        assert len(stage.sockets) == 1
        one.send(close(4000))
        assert await one.frame() is None
        await until(lambda: not stage.sockets)

    async def test_closing_twice_or_pinging_then_is_harmless(self, stage: SocketStage) -> None:
        one = await stage.open()
        socket = server_side(stage, one)
        socket.close(1000, "")
        socket.close(1001, "")
        socket.ping(0.0)
        assert await one.frame() == (CLOSE, (1000).to_bytes(2, "big"))
        one.send(close(1000))
        assert await one.frame() is None
        await until(lambda: not stage.sockets)
        socket.close(1000, "")
        socket.ping(0.0)
        socket.shutdown()
        assert socket.offer(b"late") is False


class TestWithoutAClose:
    async def test_a_half_closed_connection_ends(self, stage: SocketStage) -> None:
        one, two = await stage.joined(), await stage.joined()
        one.writer.write_eof()
        assert await one.frame() is None
        await until(lambda: len(stage.sockets) == 1)
        await stage.set("a")
        assert await two.kind() == "create"

    async def test_a_half_closed_connection_that_does_not_read_is_let_go(
        self, stage: SocketStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket_module, "CLOSING_SECONDS", 0.05)
        one = await stage.joined()
        socket = server_side(stage, one)
        one.deafen()
        for _ in range(1000):
            socket.offer(text_frame(b"x" * 40_000))
        one.writer.write_eof()
        socket.eof_received()
        await until(lambda: not stage.sockets)

    async def test_a_reset_ends_it(self, stage: SocketStage) -> None:
        one, two = await stage.joined(), await stage.joined()
        raw = one.writer.get_extra_info("socket")
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        one.writer.transport.abort()
        await until(lambda: len(stage.sockets) == 1)
        await stage.set("a")
        assert await two.kind() == "create"

    async def test_amid_a_message_it_ends_without_carrying_it_out(self, stage: SocketStage) -> None:
        one = await stage.open()
        one.send(text('{"type": "join"}')[:-3])
        one.writer.write_eof()
        assert await one.frame() is None
        await until(lambda: not stage.sockets)


class TestShutdown:
    async def test_tells_every_client_that_the_server_restarts(self, stage: SocketStage) -> None:
        clients = [await stage.joined() for _ in range(5)]
        stopping = asyncio.create_task(stage.server.stop())
        for client in clients:
            received = await client.frame()
            assert received is not None
            assert (received.opcode, received.code) == (CLOSE, 1012)
            client.send(close(1012))
            assert await client.frame() is None
        await asyncio.wait_for(stopping, 60)

    async def test_does_not_wait_for_clients_that_never_answer(
        self, stage: SocketStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket_module, "CLOSING_SECONDS", 0.05)
        silent, stalled = await stage.joined(), await stage.joined()
        socket = server_side(stage, stalled)
        stalled.deafen()
        while socket.full_since is None:
            socket.offer(text_frame(b"x" * 10_000))
            await asyncio.sleep(0)
        await asyncio.wait_for(stage.server.stop(), 5)
        assert (await silent.frame() or silent).code == 1012  # type: ignore[union-attr]


class TestPings:
    async def test_are_answered_while_the_room_speaks(self, stage: SocketStage) -> None:
        one = await stage.joined()
        one.send(frame(PING, b"x"))
        await stage.set("a")
        opcodes = set()
        for _ in range(2):
            received = await one.frame()
            assert received is not None
            opcodes.add(received.opcode)
        assert opcodes == {TEXT, 0xA}

    async def test_of_the_server_go_to_silent_clients(self, stage: SocketStage) -> None:
        one = await stage.open()
        socket = server_side(stage, one)
        socket.ping(5.0)
        assert await one.frame() == (PING, b"")
        assert socket.pinged == 5.0
        one.send(frame(0xA))
        await until(lambda: socket.pinged is None)
