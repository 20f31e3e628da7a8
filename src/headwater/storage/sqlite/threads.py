"""A thread that does calls in order for an event loop. Owns the hand-over and nothing of what the calls do.

The hand-over is on the path of every write, so it is bare: one C queue in, one `call_soon_threadsafe` out.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from headwater.errors import StoreUnavailable

log = logging.getLogger("headwater.storage")

Result = TypeVar("Result")


class _Call(NamedTuple):
    work: Callable[[], Any]
    loop: AbstractEventLoop | None
    future: Future[Any] | None


class StoreThread:
    """Does one call after the other. One given by `run` answers to its loop, one by `post` to nobody."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], Result]) -> Future[Result]:
        """Do the work after the calls given before; the future answers on the loop that called.

        The work is done even if the future is cancelled.

        :raises StoreUnavailable: the thread has ended.
        """
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        loop = asyncio.get_running_loop()
        future: Future[Result] = loop.create_future()
        self._calls.put(_Call(work, loop, future))
        return future

    def post(self, work: Callable[[], None]) -> None:
        """Do the work after the calls given before, unless the thread has ended. An error is logged."""
        if not self._closed:
            self._calls.put(_Call(work, None, None))

    def end(self) -> None:
        """Finish the calls given, then end the thread; returns when it has ended."""
        self._closed = True
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._do(call)

    @staticmethod
    def _do(call: _Call) -> None:
        if call.loop is None or call.future is None:
            try:
                call.work()
            except Exception:
                log.exception("A call that answers to nobody failed")
            return
        try:
            answer, value = _resolve, call.work()
        except BaseException as error:
            answer, value = _fail, error
        try:
            call.loop.call_soon_threadsafe(answer, call.future, value)
        except RuntimeError:
            return  # The loop is gone, and with it whoever waited.


def _resolve(future: Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
