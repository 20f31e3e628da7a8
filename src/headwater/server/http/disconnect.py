"""Stops work whose client has hung up. Owns the watch on a connection while a step runs.

- Our own connections call when they are lost: that costs a request nothing but to say who is to be called.
- Another ASGI host tells it to whoever receives, so a task has to wait for that; most work is done before it
  would begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from starlette.types import Receive, Scope, Send

from headwater.server.http.bodies import ClientGone

CONNECTION = "headwater.connection"
"""Where a scope carries its `Connection`, if the host has one."""

PATIENCE = 0.02
"""Seconds of work before a task begins to watch another host's connection."""

Answer = TypeVar("Answer")


class Connection(Protocol):
    """A connection of our own: it says itself when it is lost, to whoever it answers at that time, and takes
    an answer whole."""

    lost: bool
    when_lost: Callable[[], None] | None

    @property
    def task(self) -> asyncio.Task[None]:
        """The one that answers the request whose turn it is."""
        ...

    def answer(self, send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole answer at once, as two messages to `send` would; False where only they can, and then
        nothing is written. Header lines must be sound and name the length of the body."""
        ...


async def while_connected(scope: Scope, receive: Receive, work: Awaitable[Answer]) -> Answer:
    """The outcome of the work; raises ClientGone when the client hangs up first, and the work is cancelled.

    The request's body must have been read.
    """
    connection: Connection | None = scope.get(CONNECTION)
    watch = _Watch(receive) if connection is None else _Call(connection)
    try:
        return await work
    except asyncio.CancelledError:
        # The watch's own cancellation is taken back; one that the host asked for as well must go on.
        if not watch.gone or watch.worker.uncancel():
            raise
        raise ClientGone from None
    finally:
        watch.end()


class _Call:
    """A watch that is called."""

    __slots__ = ("_connection", "gone", "worker")

    def __init__(self, connection: Connection) -> None:
        self.worker = connection.task
        self.gone = False
        self._connection = connection
        connection.when_lost = self._lost
        if connection.lost:
            self._lost()

    def _lost(self) -> None:
        self.gone = True
        self.worker.cancel()

    def end(self) -> None:
        self._connection.when_lost = None


class _Watch:
    """A watch that asks."""

    __slots__ = ("_receive", "_start", "_watcher", "gone", "worker")

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("requests are served in tasks")
        self.worker = task
        self.gone = False
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._start = asyncio.get_running_loop().call_later(PATIENCE, self._begin)

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.worker.cancel()

    def end(self) -> None:
        self._start.cancel()
        if self._watcher:
            self._watcher.cancel()
