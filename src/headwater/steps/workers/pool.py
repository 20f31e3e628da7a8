"""The pool of one generation: which worker gets which invocation, and what happens when a loop is blocked.

Owns dispatch, the queue of what no worker can take yet, and the tick that doubts workers; the tick runs only
while something else does. How many workers there are is `crew.py`'s; sockets and processes are not seen here.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from headwater.errors import HeadwaterError, Overloaded, WorkerLost
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.crew import Crew, Parts
from headwater.steps.workers.dispatch import choose
from headwater.steps.workers.invocation import Invocation
from headwater.steps.workers.pulse import PING_EVERY
from headwater.steps.workers.worker import Worker

log = logging.getLogger("headwater.steps")

MOST_LOSSES = 2
"""Workers that an invocation may lose before it started, before it is given up."""


class Pool:
    """The workers of one generation. `start`, then `open`, then `run`; `drain` or `kill` ends it."""

    def __init__(self, parts: Parts, load: Message) -> None:
        self._settings = parts.settings
        self._intake = parts.intake
        self._clock = parts.clock
        self._crew = Crew(self, parts, load)
        self._waiting: deque[Invocation] = deque()
        self._blocking: set[str] = set()
        self._proven: set[str] = set()
        self._numbers = itertools.count(1)
        self._ticking: asyncio.TimerHandle | None = None
        self._tick_due = 0.0
        self._closed = False
        self._forward: Callable[[Invocation], None] = _refuse

    # --- life ---

    async def start(self) -> dict[str, Any]:
        """Start the first worker; answers its manifest.

        :raises WorkerLost: it died while loading.
        :raises TimedOut: it did not load in time.
        :raises TooLarge: the sources fit no frame.
        """
        return await self._crew.start()

    def open(self, streams: Sequence[str]) -> None:
        """Invocations may come: tell the workers the names of all streams, bring the pool to size."""
        self._crew.open(streams)

    async def drain(self, timeout: float, forward: Callable[[Invocation], None] | None = None) -> None:
        """Take nothing more, let what runs end within `timeout` seconds, then end it.

        What has not started goes to `forward`; without one it fails.
        """
        self._close(forward)
        self._crew.close()
        for worker in self._crew.workers:
            if worker.stalled:
                worker.withdraw_unstarted()
        try:
            async with asyncio.timeout(timeout):
                await self._crew.ended()
        except TimeoutError:
            pass
        finally:
            await self.kill(f"it was still busy {timeout:g} s after the end of its generation")

    async def kill(self, reason: str = "") -> None:
        """End all workers now; what runs on them fails."""
        self._close(None)
        await self._crew.kill(reason)
        if self._ticking is not None:
            self._ticking.cancel()

    def _close(self, forward: Callable[[Invocation], None] | None) -> None:
        self._forward = forward or self._forward
        self._closed = True
        while self._waiting:
            self._forward(self._waiting.popleft())

    @property
    def workers(self) -> Sequence[Worker]:
        """The loaded workers, for people and tests."""
        return tuple(self._crew.workers)

    @property
    def blocking(self) -> frozenset[str]:
        """The files whose steps were seen to hold their loop, and run in threads since."""
        return frozenset(self._blocking)

    # --- invocations ---

    async def run(self, invocation: Invocation) -> Message:
        """Run it on some worker; answers the worker's `result`. Cancelled, it cancels the invocation.

        :raises WorkerLost: the worker that ran it died.
        :raises Overloaded: too many wait for a worker, or the pool is closed.
        :raises TooLarge: it fits no frame.
        """
        self.take(invocation)
        try:
            return await invocation.done
        except asyncio.CancelledError:
            if invocation.holder is not None:
                invocation.holder.cancel(invocation)
            raise

    def take(self, invocation: Invocation) -> None:
        """Give it to a worker, or let it wait for one."""
        if self._closed:
            self._forward(invocation)
            return
        invocation.holder, invocation.id = self, next(self._numbers)
        if self._place(invocation):
            return
        if not invocation.waits:
            invocation.fail(Overloaded("No worker is free for it now.", hint="It is tried again later."))
            return
        limit = self._settings.max_waiting
        if len(self._waiting) >= limit:
            invocation.fail(_overloaded(limit))
            return
        self._waiting.append(invocation)
        self._tick_later()

    def cancel(self, invocation: Invocation) -> None:
        """Nobody waits for it any more: stop it, wherever it is."""
        for worker in self._crew.workers:
            if worker.running.get(invocation.id) is invocation:
                worker.cancel(invocation, self._settings.drain_timeout)
                return
        with suppress(ValueError):
            self._waiting.remove(invocation)

    def _place(self, invocation: Invocation) -> bool:
        """Give an invocation to a worker that may take it now."""
        threaded = invocation.target in self._blocking

        def risky(last: Worker) -> bool:
            return not threaded and self._risky(invocation, last)

        worker = choose(self._crew.ready(), reserve=self._crew.size.reserve, risky=risky)
        if worker is None:
            return False
        worker.give(invocation, thread=threaded)
        self._tick_later()
        return True

    def _flush(self) -> None:
        """Place what waits, as far as possible and in order."""
        for _ in range(len(self._waiting)):
            invocation = self._waiting.popleft()
            if not invocation.done.done() and not self._place(invocation):
                self._waiting.append(invocation)

    def _risky(self, invocation: Invocation, last: Worker) -> bool:
        """Whether it may well block the last living worker.

        So may a step that runs on a stalled worker right now. While another worker is on its way, so may what
        has never run to its end: at most one such at a time, and none that comes from a stalled worker.
        """
        if invocation.target in self._suspects():
            return True
        if invocation.target in self._proven or not self._crew.growing:
            return False
        beside = (one.target for one in last.running.values() if not one.thread)
        return invocation.withdrawn or any(target not in self._proven for target in beside)

    def _suspects(self) -> set[str]:
        """The targets that may be what blocks a stalled worker.

        Its `blocked` report settles it soon; when none comes, the suspicion ends.
        """
        since = self._clock.monotonic() - 2 * self._settings.block_after
        stalled = [one for one in self._crew.workers if (one.pulse.stalled_since or 0.0) > since]
        return {target for worker in stalled for target in worker.suspects()}

    # --- what workers and crew tell ---

    def given_back(self, invocation: Invocation) -> None:
        """An invocation was withdrawn before it started: another worker gets it."""
        if not invocation.done.done():
            invocation.withdrawn = True
            self.take(invocation)

    def finished(self, invocation: Invocation) -> None:
        """An invocation has ended, so its step is known to end."""
        if invocation.started:
            self._proven.add(invocation.target)
        if self._waiting:
            self._flush()

    def relieved(self) -> None:
        """A stalled worker answers again."""
        self._flush()

    def blocks(self, target: str, seconds: float) -> None:
        """A step holds its loop: from now on it runs in threads."""
        if target not in self._blocking:
            self._blocking.add(target)
            log.warning(
                "%s held its worker for %.0f ms; from now on it runs in a thread of its own",
                target,
                seconds * 1000,
                extra={"fields": {"file": target}},
            )
        self._flush()

    def joined(self, worker: Worker) -> None:
        """There is one more worker."""
        self._flush()

    def lost(self, worker: Worker, how: str) -> None:
        """A worker is gone: what ran on it fails, what had not started moves."""
        for invocation in list(worker.running.values()):
            invocation.losses += 1
            if invocation.started or invocation.losses >= MOST_LOSSES:
                invocation.fail(_lost(invocation, how))
            elif not invocation.done.done():
                invocation.reset()
                self.take(invocation)
        worker.running.clear()

    def deserted(self, fault: HeadwaterError) -> None:
        """Nobody can take what waits, and the next start may fail too."""
        while self._waiting:
            self._waiting.popleft().fail(WorkerLost(f"No worker could be started: {fault.message}"))

    # --- the tick, while something runs or waits ---

    def _tick_later(self) -> None:
        """See to it that a tick comes soon while an answer is due, else when the next ping is."""
        urgent = self._waiting or any(worker.pulse.asked for worker in self._crew.workers)
        delay = self._settings.stall_after * (0.5 if urgent else PING_EVERY)
        due = self._clock.monotonic() + delay
        if self._ticking is not None:
            if self._tick_due <= due:
                return
            self._ticking.cancel()
        self._tick_due = due
        self._ticking = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        now = self._clock.monotonic()
        late = now - self._tick_due > self._settings.stall_after
        busy = [worker for worker in self._crew.workers if worker.running]
        for worker in busy:
            self._examine(worker, now, excused=late or self._intake.full)
        if self._waiting:
            self._flush()
        self._crew.fill()
        if busy or self._waiting:
            self._tick_later()

    def _examine(self, worker: Worker, now: float, *, excused: bool) -> None:
        if excused:
            worker.pulse.excuse(now)
        elif worker.pulse.look(now):
            worker.withdraw_unstarted()
        elif worker.pulse.is_due(now):
            worker.ping()
        if worker.stalled:
            self._end_if_stuck(worker, now)

    def _end_if_stuck(self, worker: Worker, now: float) -> None:
        """A cancelled invocation that goes on holding the loop costs the worker.

        It holds it only if the worker is stalled all that time; where it is known who does, the others are
        held up themselves.
        """
        patience = self._settings.drain_timeout
        if now - (worker.pulse.stalled_since or now) <= patience:
            return
        running = list(worker.running.values())
        for invocation in [one for one in running if one.holding] or running:
            if invocation.cancelled_at is not None and now - invocation.cancelled_at > patience:
                worker.kill(f"{invocation.target} did not stop {patience:g} s after it was cancelled")
                return


def _refuse(invocation: Invocation) -> None:
    invocation.fail(Overloaded("The server is stopping.", hint="Try again in a moment."))


def _overloaded(limit: int) -> Overloaded:
    return Overloaded(
        f"{limit} requests wait for a worker already.",
        hint="Every worker is busy or blocked; raise workers.max_size, or make the steps faster.",
        limit=limit,
    )


def _lost(invocation: Invocation, how: str) -> WorkerLost:
    name = invocation.step or invocation.target
    return WorkerLost(
        f'The worker that ran "{name}" ended ({how}); the request was not finished.',
        step=invocation.step,
        trace=invocation.trace,
    )
