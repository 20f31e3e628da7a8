"""Threads for user code. Owns how many there are, and the event loop that each may have of its own.

`concurrent.futures` will not do: work that running work waits for (a handler inside a middleware) must never
queue behind work that has not begun, and a thread whose loop still has tasks must not count for the limit.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

MAX_THREADS = 64
"""Most invocations that run in threads at once; the next ones wait, and can still be withdrawn."""

IDLE_SECONDS = 60.0
"""How long a thread waits for work before it ends."""

Job = Callable[[], None]


class Threads:
    """A pool that grows on demand. `new_loop` makes the loops of threads that need one."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop], limit: int = MAX_THREADS) -> None:
        self._new_loop = new_loop
        self._limit = limit
        self._changed = threading.Condition()
        self._jobs: deque[tuple[Job, bool]] = deque()
        self._idle = 0
        self._running = 0
        self._names = 0
        self._local = threading.local()

    def submit(self, job: Job, *, inner: bool = False) -> None:
        """Run the job in a thread. `inner`: running work waits for it, so it starts at once, limit or not."""
        with self._changed:
            if inner:
                self._jobs.appendleft((job, inner))
            else:
                self._jobs.append((job, inner))
            if self._idle >= len(self._jobs):
                self._changed.notify()
            elif inner or self._running < self._limit:
                self._add_thread()

    def _add_thread(self) -> None:
        self._running += 1
        self._names += 1
        name = f"headwater-step-{self._names}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
                self._let_tasks_end()
            except BaseException:  # a lost thread would be a place lost for good
                traceback.print_exc()
        loop: asyncio.AbstractEventLoop | None = getattr(self._local, "loop", None)
        if loop is not None:
            loop.close()

    def _next(self) -> Job | None:
        """The next job, or None when this thread is one too many or idle for long."""
        with self._changed:
            woken = True
            while not self._jobs or self._running > self._limit:
                if self._jobs and self._jobs[0][1]:
                    break
                if self._running > self._limit or not woken:
                    self._running -= 1
                    return None
                self._idle += 1
                woken = self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
            return self._jobs.popleft()[0]

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run async work to its end on this thread's own loop."""
        loop = self.loop()
        _finish(loop, loop.create_task(work))

    def loop(self) -> asyncio.AbstractEventLoop:
        """This thread's own loop."""
        loop: asyncio.AbstractEventLoop | None = getattr(self._local, "loop", None)
        if loop is None:
            loop = self._local.loop = self._new_loop()
            asyncio.set_event_loop(loop)
        return loop

    def _let_tasks_end(self) -> None:
        """Tasks that user code left running go on, as on the other loop; meanwhile the place is free."""
        loop: asyncio.AbstractEventLoop | None = getattr(self._local, "loop", None)
        if loop is None or not (tasks := asyncio.all_tasks(loop)):
            return
        with self._changed:
            self._running -= 1
            if self._jobs and self._running < self._limit:
                self._add_thread()
        try:
            while tasks:
                _finish(loop, loop.create_task(_wait(tasks)))
                tasks = asyncio.all_tasks(loop)
        finally:
            with self._changed:
                self._running += 1


async def _wait(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)


def _finish(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    """Run the loop until the task is done, whatever other tasks raise through the loop (SystemExit does)."""
    while not task.done():
        try:
            loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                continue
            raise
