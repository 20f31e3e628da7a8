"""Threads for plain functions of user code. Owns how many there are; none has an event loop.

`concurrent.futures` will not do: work that running work waits for (a handler inside a middleware) must never
queue behind work that has not begun.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable

MAX_THREADS = 64
"""Most invocations that run in threads at once; the next ones wait, and can still be withdrawn."""

IDLE_SECONDS = 60.0
"""How long a thread waits for work before it ends."""

Job = Callable[[], None]


class Threads:
    """A pool that grows on demand, up to `limit` threads."""

    def __init__(self, limit: int = MAX_THREADS) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._jobs: deque[tuple[Job, bool]] = deque()
        self._idle = 0
        self._running = 0
        self._names = 0

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
        # No daemon, for threads that user code starts inherit that. The process ends without waiting for it.
        threading.Thread(target=self._work, name=name, daemon=False).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except BaseException:  # a lost thread would be a place lost for good
                traceback.print_exc()

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
