"""When the workers of a pool are looked at. Owns the timer, which runs only while something runs or waits.

A tick comes soon while an answer is due or something waits for a main worker, else when the next ping is.
What is found about one worker is `doubt.py`'s; what a tick sets going beside that is the pool's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from headwater.steps.workers.blocking import Verdicts
from headwater.steps.workers.crew import Parts
from headwater.steps.workers.doubt import examine, is_past_use
from headwater.steps.workers.invocation import Invocation
from headwater.steps.workers.pulse import PING_EVERY, SOON
from headwater.steps.workers.waiting import Waiting
from headwater.steps.workers.worker import Worker


class Pooled(Protocol):
    """What the looks tell: a pool."""

    def past_use(self, worker: Worker, invocation: Invocation) -> None:
        """Something on a worker goes on long after its time."""
        ...

    def looked(self) -> None:
        """All workers were looked at."""
        ...


class Tick:
    """The looks at the workers of one pool: `main` and `apart`, as they are at the time."""

    def __init__(
        self,
        pool: Pooled,
        parts: Parts,
        main: Sequence[Worker],
        apart: Sequence[Worker],
        waiting: Waiting,
        verdicts: Verdicts,
    ) -> None:
        self._pool = pool
        self._settings = parts.settings
        self._observer = parts.observer
        self._intake = parts.intake
        self._clock = parts.clock
        self._main = main
        self._apart = apart
        self._waiting = waiting
        self._verdicts = verdicts
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._is_soon = False

    @property
    def is_due(self) -> bool:
        """Whether another look will come."""
        return self._timer is not None

    def later(self) -> None:
        """Something runs or waits: see to it that a look comes in time."""
        # Most calls end here: a tick is due that is as soon as it would be anew, and the clock is not asked.
        if self._timer is not None and (self._is_soon or not self._is_urgent()):
            return
        urgent = self._is_urgent()
        delay = self._settings.stall_after * (SOON if urgent else PING_EVERY)
        due = self._clock.monotonic() + delay
        self._is_soon = urgent
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_later(delay, self._look)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _is_urgent(self) -> bool:
        """Whether a worker's answer is due or a ping owed, or something waits for a main worker."""
        for worker in self._main:
            if worker.pulse.asked or worker.pulse.owed:
                return True
        return bool(self._waiting) and any(
            not self._verdicts.is_apart(reason.file) for reason in self._waiting.reasons()
        )

    def _look(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        # A server that is late itself, or that does not read its workers, has no answers to expect.
        excused = now - self._due > self._settings.stall_after or self._intake.full
        busy = [worker for worker in self._main if worker.running]
        # Whoever runs one thing alone is doubted only when that does not begin, or was cancelled and goes on.
        odd = [worker for worker in self._apart if worker.running and not _is_at_work(worker)]
        patience = self._settings.drain_timeout
        for worker in (*busy, *odd):
            if examine(worker, now, excused=excused, patience=patience):
                self._observer.stalled(worker.pid)
            if (invocation := is_past_use(worker, now, patience)) is not None:
                self._pool.past_use(worker, invocation)
        self._pool.looked()
        if busy or odd or self._waiting:
            self.later()


def _is_at_work(worker: Worker) -> bool:
    """Whether all that is on a worker has begun and is wanted."""
    return worker.longest_cancelled is None and all(one.started for one in worker.running.values())
