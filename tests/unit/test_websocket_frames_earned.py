"""How many frames a client may still send grows with time, whatever else the socket does meanwhile."""

from __future__ import annotations

import asyncio
import socket as sockets

from headwater.config import ServerSettings, SocketSettings
from headwater.server.live.opening import SocketOpening
from headwater.server.live.websocket import WebSocket
from support.socket_client import PING, frame, handshake

BURST = 10


class Session:
    """One that hears nothing."""

    shares = False

    def message(self, text: str) -> None: ...

    def filled(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self) -> None: ...


class ShiftedLoop(asyncio.SelectorEventLoop):
    """A loop whose time is set by hand."""

    shift = 0.0

    def time(self) -> float:
        return self.shift


def test_frames_are_earned_while_the_socket_is_full_and_drains() -> None:
    """A client of much to read and little to say: its socket drains more often than it speaks."""
    with asyncio.Runner(loop_factory=ShiftedLoop) as runner:
        runner.run(_talk(runner.get_loop()))


async def _talk(loop: asyncio.AbstractEventLoop) -> None:
    assert isinstance(loop, ShiftedLoop)
    settings = SocketSettings(frame_burst=BURST, max_frames_per_second=1)
    opening = SocketOpening(ServerSettings(), settings, lambda _socket, _peer: Session())
    here, there = sockets.socketpair()
    with there:
        _, socket = await loop.connect_accepted_socket(lambda: WebSocket(opening, set()), here)
        socket.data_received(handshake(80))
        socket.data_received(frame(PING) * BURST)
        loop.shift += BURST
        socket.pause_writing()
        socket.resume_writing()
        socket.data_received(frame(PING) * BURST)
        assert socket.full_since is None
        socket.data_received(frame(PING))
        assert socket.full_since is not None
        socket.transport.abort()
