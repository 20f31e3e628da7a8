"""A thread that does jobs in order for an event loop. Owns the hand-over and nothing of what the jobs do.

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


class _Job(NamedTuple):
    work: Callable[[], Any]
    loop: AbstractEventLoop | None
    future: Future[Any] | None


class JobThread:
    """Runs one job after the other. One given by `run` answers to its event loop, one by `post` to nobody."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], Result]) -> Future[Result]:
        """Do the work after the jobs given before; the future answers on the loop that called.

        The work is done even if the future is cancelled.

        :raises StoreUnavailable: the thread has ended.
        """
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        loop = asyncio.get_running_loop()
        future: Future[Result] = loop.create_future()
        self._jobs.put(_Job(work, loop, future))
        return future

    def post(self, work: Callable[[], None]) -> None:
        """Do the work after the jobs given before, unless the thread has ended. An error is logged."""
        if not self._closed:
            self._jobs.put(_Job(work, None, None))

    def end(self) -> None:
        """Finish the jobs given, then end the thread; returns when it has ended."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)

    @staticmethod
    def _do(job: _Job) -> None:
        if job.loop is None or job.future is None:
            try:
                job.work()
            except Exception:
                log.exception("A job that answers to nobody failed")
            return
        try:
            answer, value = _resolve, job.work()
        except BaseException as error:
            answer, value = _fail, error
        try:
            job.loop.call_soon_threadsafe(answer, job.future, value)
        except RuntimeError:
            return  # The loop is gone, and with it whoever waited.


def _resolve(future: Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
