"""Stops work whose client has hung up. Owns the watch on a connection while a step runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import Receive

from headwater.server.http.bodies import ClientGone

PATIENCE = 0.02
"""Seconds of work before the watch begins: most work is done by then, and a task each would cost more."""

Answer = TypeVar("Answer")


async def while_connected(receive: Receive, work: Awaitable[Answer]) -> Answer:
    """The outcome of the work; raises ClientGone when the client hangs up first, and the work is cancelled.

    The request's body must have been read.
    """
    watch = _Watch(receive)
    try:
        return await work
    except asyncio.CancelledError:
        # The watch's own cancellation is taken back; one that the host asked for as well must go on.
        if not watch.gone or watch.worker.uncancel():
            raise
        raise ClientGone from None
    finally:
        watch.end()


class _Watch:
    __slots__ = ("_receive", "_start", "_watcher", "gone", "worker")

    def __init__(self, receive: Receive) -> None:
        worker = asyncio.current_task()
        if worker is None:
            raise RuntimeError("requests are served in tasks")
        self.worker = worker
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
