"""Threads for plain functions of user code. Owns how many there are, and whose turn it is; none has an event
loop. Knows of what runs only the name of whose it is.

`concurrent.futures` will not do: work that running work waits for (a handler inside a middleware) must never
queue behind work that has not begun, and one step whose functions never return must leave room for others.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

MAX_THREADS = 80
"""Most invocations that run in threads at once; the next ones wait, and can still be withdrawn."""

MOST_OF_ONE = 64
"""Most of them that one owner may have. A step whose handler waits for ever holds these and no more."""

IDLE_SECONDS = 60.0
"""How long a thread waits for work before it ends."""

Job = Callable[[], None]


class _Turn(NamedTuple):
    """A job that may begin. `owner` None: running work waits for it, and it counts as nobody's."""

    job: Job
    owner: str | None


class Threads:
    """A pool that grows on demand, up to `limit` threads, of which one owner has `most_of_one` at most."""

    def __init__(self, limit: int = MAX_THREADS, most_of_one: int = MOST_OF_ONE) -> None:
        self._limit = limit
        self._most_of_one = most_of_one
        self._changed = threading.Condition()
        self._inner: deque[Job] = deque()
        self._lines: dict[str, deque[Job]] = {}  # The owner whose turn is next stands first.
        self._busy: dict[str, int] = {}
        self._idle = 0
        self._running = 0
        self._names = 0

    def submit(self, job: Job, owner: str = "", *, inner: bool = False) -> None:
        """Run the job in a thread. `owner` is whose it is: jobs of one begin in order, owners take turns.
        `inner`: running work waits for it, so it starts at once, limit or not."""
        with self._changed:
            if inner:
                self._inner.append(job)
            else:
                self._lines.setdefault(owner, deque()).append(job)
            if self._idle >= self._startable():
                self._changed.notify()
            elif inner or self._running < self._limit:
                self._add_thread()

    def _has_room(self, owner: str) -> bool:
        return self._busy.get(owner, 0) < self._most_of_one

    def _startable(self) -> int:
        """How many jobs could begin now if there were threads enough."""
        return len(self._inner) + sum(
            min(len(line), self._most_of_one - self._busy.get(owner, 0))
            for owner, line in self._lines.items()
        )

    def _add_thread(self) -> None:
        self._running += 1
        self._names += 1
        name = f"headwater-step-{self._names}"
        # No daemon, for threads that user code starts inherit that. The process ends without waiting for it.
        threading.Thread(target=self._work, name=name, daemon=False).start()

    def _work(self) -> None:
        owner: str | None = None
        while (turn := self._next(owner)) is not None:
            owner = turn.owner
            try:
                turn.job()
            except BaseException:  # a lost thread would be a place lost for good
                traceback.print_exc()

    def _next(self, ended: str | None) -> _Turn | None:
        """The next job, after one whose owner was `ended`; None when this thread is one too many, or idle for
        long."""
        with self._changed:
            self._count(ended, -1)
            woken = True
            while (turn := self._take()) is None:
                if self._running > self._limit or not woken:
                    self._running -= 1
                    return None
                self._idle += 1
                woken = self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
            self._count(turn.owner, 1)
            return turn

    def _take(self) -> _Turn | None:
        """What begins next: what running work waits for; else, unless there are too many threads, the first
        of the owner whose turn it is and who has not its most already."""
        if self._inner:
            return _Turn(self._inner.popleft(), None)
        if self._running > self._limit:
            return None
        owner = next(filter(self._has_room, self._lines), None)
        if owner is None:
            return None
        line = self._lines.pop(owner)
        job = line.popleft()
        if line:
            self._lines[owner] = line
        return _Turn(job, owner)

    def _count(self, owner: str | None, more: int) -> None:
        if owner is None:
            return
        count = self._busy.get(owner, 0) + more
        if count:
            self._busy[owner] = count
        else:
            self._busy.pop(owner, None)
