"""Keeps sockets honest: pings idle ones, lets go of dead and stalled ones. One sweep for all, no timer a
socket.

A client that does not read cannot pong, so the pong timeout pauses while its socket is undrained and the
longer stall timeout applies instead. Knows sockets only by the few members named in `Kept`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from headwater.config import SocketSettings
from headwater.observe import SILENT, Observer

log = logging.getLogger("headwater.socket")

SLICE = 2000
"""Sockets looked at in one loop turn: a look costs about 0.2 us, so a slice stays under a millisecond."""


class Kept(Protocol):
    """What the sweep needs of a socket; see WebSocket."""

    full_since: float | None
    heard: float
    pinged: float | None

    def ping(self, now: float) -> None:
        """Send a ping."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close with a code."""
        ...

    def abort(self) -> None:
        """Let go at once."""
        ...


def look(socket: Kept, now: float, settings: SocketSettings, observer: Observer = SILENT) -> None:
    """Do what is due for one socket at monotonic time `now`."""
    if socket.full_since is not None:
        if now - socket.full_since > settings.stall_timeout:
            observer.limited("socket.stall_timeout", settings.stall_timeout)
            socket.abort()
    elif socket.pinged is not None:
        # Draining counts as a sign of life too: `heard` is then later than the ping.
        if now - max(socket.pinged, socket.heard) > settings.ping_timeout:
            observer.limited("socket.ping_timeout", settings.ping_timeout)
            socket.abort()
    elif settings.ping_interval and now - socket.heard > settings.ping_interval:
        socket.ping(now)


async def keep(
    sockets: Iterable[Kept], settings: SocketSettings, observer: Observer = SILENT, *, every: float = 1.0
) -> None:
    """Sweep over all sockets, every `every` seconds, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every)
        for index, socket in enumerate(list(sockets)):
            try:
                look(socket, loop.time(), settings, observer)
            except Exception:  # One socket's fault must not leave the others unwatched.
                log.exception("Looking after a socket failed")
            if index % SLICE == SLICE - 1:
                await asyncio.sleep(0)
