"""Who is pinged, who is let go, and when. Time is given by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from headwater.config import SocketSettings
from headwater.server.live.keepalive import keep, look

SETTINGS = SocketSettings(ping_interval=20, ping_timeout=10, stall_timeout=120)


@dataclass(eq=False)
class Socket:
    """A Kept that notes what is done to it."""

    heard: float = 0.0
    pinged: float | None = None
    full_since: float | None = None
    done: list[str] = field(default_factory=list)

    def ping(self, now: float) -> None:
        self.pinged = now
        self.done.append(f"ping at {now:g}")

    def close(self, code: int, reason: str) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")


def after(socket: Socket, *times: float, settings: SocketSettings = SETTINGS) -> list[str]:
    for now in times:
        look(socket, now, settings)
    return socket.done


def test_a_client_that_was_heard_lately_is_left_alone() -> None:
    assert after(Socket(heard=100), 100, 110, 120) == []


def test_an_idle_client_is_pinged_once() -> None:
    assert after(Socket(heard=100), 121, 125, 130) == ["ping at 121"]


def test_a_client_that_does_not_answer_its_ping_is_let_go() -> None:
    assert after(Socket(heard=100), 121, 131, 132) == ["ping at 121", "abort"]


def test_a_client_that_answers_is_pinged_again_later() -> None:
    socket = Socket(heard=100)
    after(socket, 121)
    socket.heard, socket.pinged = 122, None
    assert after(socket, 132, 142, 143) == ["ping at 121", "ping at 143"]


def test_a_client_that_does_not_read_is_not_let_go_for_its_missing_pong() -> None:
    socket = Socket(heard=100, pinged=121, full_since=125)
    assert after(socket, 140, 200, 244) == []


def test_a_client_that_does_not_read_for_too_long_is_let_go() -> None:
    assert after(Socket(heard=100, full_since=125), 246) == ["abort"]


def test_a_client_that_reads_again_has_the_whole_time_for_its_pong() -> None:
    socket = Socket(heard=200, pinged=121)  # Draining counts as hearing.
    assert after(socket, 205, 209) == []
    assert after(socket, 211) == ["abort"]


def test_without_an_interval_nobody_is_pinged() -> None:
    settings = SocketSettings(ping_interval=0, stall_timeout=120)
    assert after(Socket(heard=0), 1000, 2000, settings=settings) == []
    assert after(Socket(full_since=0), 121, settings=settings) == ["abort"]


@pytest.fixture
def settings() -> SocketSettings:
    return SocketSettings(ping_interval=0.000_001, ping_timeout=1000)


async def test_the_sweep_looks_at_every_socket(settings: SocketSettings) -> None:
    sockets = {Socket(heard=-1.0) for _ in range(5000)}
    sweeping = asyncio.create_task(keep(sockets, settings, every=0))
    async with asyncio.timeout(60):
        while not all(socket.pinged for socket in sockets):
            await asyncio.sleep(0)
    sweeping.cancel()


async def test_a_socket_that_breaks_does_not_end_the_sweep(settings: SocketSettings) -> None:
    class Broken(Socket):
        def ping(self, now: float) -> None:
            super().ping(now)
            raise RuntimeError("the handler is closed")

    broken, sound = Broken(heard=-1.0), Socket(heard=-1.0)
    sweeping = asyncio.create_task(keep([broken, sound], settings, every=0))
    async with asyncio.timeout(60):
        while not (broken.pinged and sound.pinged):
            await asyncio.sleep(0)
    assert not sweeping.done()
    sweeping.cancel()


async def test_sockets_may_come_and_go_during_a_sweep(settings: SocketSettings) -> None:
    sockets: set[Socket] = {Socket(heard=-1.0) for _ in range(5000)}
    sweeping = asyncio.create_task(keep(sockets, settings, every=0))
    for _ in range(10):
        await asyncio.sleep(0)
        sockets.pop()
        sockets.add(Socket(heard=-1.0))
    assert not sweeping.done()
    sweeping.cancel()
