"""The workers of one generation: how many there are, which gets what, what happens when one dies.

Owns the policy: a warm size plus one in reserve, growth while workers are stalled, back to size later,
replacement of the dead, the queue of what no worker can take yet. Speaks to `worker.py` alone, never to a
socket or a process. Pings go out and the clock ticks only while something runs.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from headwater.clock import Clock
from headwater.config import WorkerSettings
from headwater.errors import HeadwaterError, Overloaded, WorkerLost
from headwater.protocol.worker import Message
from headwater.steps.dispatch import choose
from headwater.steps.intake import Intake
from headwater.steps.invocation import Calls, Invocation
from headwater.steps.worker import Worker, lost
from headwater.steps.worker_process import Launch

log = logging.getLogger("headwater.steps")

GROW_AFTER = 5.0
"""How long a worker must be stalled before another is started for it, in units of `stall_after`."""
SHRINK_AFTER = 30.0
"""Seconds after which workers beyond the warm size are let go."""
QUICK_DEATH = 5.0
"""A worker that lives for fewer seconds than this counts as failing; the next start waits."""
MOST_BACKOFF = 10.0
"""Seconds, the longest wait before another start."""
MOST_LOSSES = 2
"""Workers that an invocation may lose before it started, before it is given up."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many workers: `warm` take work, one more is in reserve where `most` allows."""

    warm: int
    most: int

    @classmethod
    def of(cls, settings: WorkerSettings) -> Size:
        """The sizes that the settings mean."""
        warm = settings.size or max(os.cpu_count() or 1, 2)
        return cls(warm, max(settings.max_size or warm + 4, warm))

    @property
    def idle(self) -> int:
        """How many there are when nothing is stalled."""
        return min(self.warm + 1, self.most)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pool stands on. `late_calls` makes the server of calls that outlive their invocation."""

    launch: Launch
    settings: WorkerSettings
    intake: Intake
    late_calls: Callable[[], Calls]
    clock: Clock


class Pool:
    """The workers of one generation. `start`, then `open`, then `run`; `drain` or `kill` ends it."""

    def __init__(self, parts: Parts, load: Message) -> None:
        self._parts = parts
        self._load = load
        self._settings = parts.settings
        self._clock = parts.clock
        self._size = Size.of(parts.settings)
        self._workers: list[Worker] = []
        self._born: dict[Worker, float] = {}
        self._starting = 0
        self._failures = 0
        self._streams: Sequence[str] = ()
        self._waiting: deque[Invocation] = deque()
        self._blocking: set[str] = set()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._tick_due = 0.0
        self._shrinking: asyncio.TimerHandle | None = None
        self._closed = False
        self._forward: Callable[[Invocation], None] = self._refuse
        self._emptied = asyncio.Event()
        self._emptied.set()

    # --- life ---

    async def start(self) -> dict[str, Any]:
        """Start the first worker; answers its manifest.

        :raises WorkerLost: it died while loading.
        :raises TimedOut: it did not load in time.
        """
        worker, manifest = await self._launch()
        self._join(worker)
        return manifest

    def open(self, streams: Sequence[str]) -> None:
        """Invocations may come: tell the workers the names of all streams, bring the pool to size."""
        self._streams = tuple(streams)
        for worker in self._workers:
            worker.announce(self._streams)
        self._fill()

    async def drain(self, timeout: float, forward: Callable[[Invocation], None] | None = None) -> None:
        """Take nothing more, let what runs end within `timeout` seconds, then end it.

        What has not started goes to `forward`; without one it fails.
        """
        self._close(forward)
        for worker in self._workers:
            worker.drain()
            if worker.stalled:
                worker.withdraw_unstarted()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._emptied.wait()
        await self.kill(f"it was still busy {timeout:g} s after the end of its generation")

    async def kill(self, reason: str = "") -> None:
        """End all workers now; what runs on them fails."""
        self._close(None)
        for task in list(self._tasks):
            task.cancel()
        for worker in list(self._workers):
            worker.kill(reason)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._emptied.wait()

    @property
    def workers(self) -> Sequence[Worker]:
        """The loaded workers, for people and tests."""
        return tuple(self._workers)

    @property
    def blocking(self) -> frozenset[str]:
        """The files whose steps were seen to hold their loop, and run in threads since."""
        return frozenset(self._blocking)

    def _close(self, forward: Callable[[Invocation], None] | None) -> None:
        self._forward = forward or self._forward
        self._closed = True
        for timer in (self._shrinking,):
            if timer is not None:
                timer.cancel()
        while self._waiting:
            self._forward(self._waiting.popleft())

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
            self._cancel(invocation)
            raise

    def take(self, invocation: Invocation) -> None:
        """Give it to a worker, or let it wait for one."""
        if self._closed:
            self._forward(invocation)
            return
        invocation.id = next(self._numbers)
        if not self._place(invocation):
            self._queue(invocation)

    def _place(self, invocation: Invocation) -> bool:
        """Give an invocation to a worker that may take it now."""
        threaded = invocation.target in self._blocking
        suspect = not threaded and invocation.target in self._suspects()
        worker = choose(self._ready(), suspect=suspect, reserve=self._size.idle > self._size.warm)
        if worker is None:
            return False
        worker.give(invocation, thread=threaded)
        self._tick_later()
        return True

    def _queue(self, invocation: Invocation) -> None:
        if len(self._waiting) >= self._settings.max_waiting:
            invocation.fail(_overloaded(self._settings.max_waiting))
            return
        self._waiting.append(invocation)
        self._tick_later()

    def _flush(self) -> None:
        """Place what waits, as far as possible and in order."""
        for _ in range(len(self._waiting)):
            invocation = self._waiting.popleft()
            if not invocation.done.done() and not self._place(invocation):
                self._waiting.append(invocation)

    def _cancel(self, invocation: Invocation) -> None:
        for worker in self._workers:
            if worker.running.get(invocation.id) is invocation:
                worker.cancel(invocation)
                return
        with suppress(ValueError):
            self._waiting.remove(invocation)

    def _ready(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.draining]

    def _suspects(self) -> set[str]:
        """The targets that may be what blocks a stalled worker. Its `blocked` report settles it soon; when
        none comes, the suspicion ends."""
        since = self._clock.monotonic() - 2 * self._settings.block_after
        stalled = [one for one in self._workers if (one.pulse.stalled_since or 0.0) > since]
        return {target for worker in stalled for target in worker.suspects()}

    def _refuse(self, invocation: Invocation) -> None:
        invocation.fail(Overloaded("The server is stopping.", hint="Try again in a moment."))

    # --- what workers tell ---

    def given_back(self, worker: Worker, invocation: Invocation) -> None:
        """An invocation was withdrawn before it started: another worker gets it."""
        if not invocation.done.done():
            self.take(invocation)

    def relieved(self, worker: Worker) -> None:
        """A worker may take more."""
        if self._waiting:
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

    # --- the tick, while something runs ---

    def _tick_later(self) -> None:
        if self._ticking is None and not (self._closed and not self._workers):
            delay = self._settings.stall_after / 2
            self._tick_due = self._clock.monotonic() + delay
            self._ticking = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        now = self._clock.monotonic()
        late = now - self._tick_due > self._settings.stall_after
        busy = [worker for worker in self._workers if worker.running]
        for worker in busy:
            self._examine(worker, now, excused=late or self._parts.intake.full)
        if self._waiting:
            self._flush()
        self._fill()
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
        """A cancelled invocation that goes on holding the loop costs the worker."""
        patience = self._settings.drain_timeout
        for invocation in worker.running.values():
            if invocation.cancelled_at is not None and now - invocation.cancelled_at > patience:
                worker.kill(f"{invocation.target} did not stop {patience:g} s after it was cancelled")
                return

    # --- how many there are ---

    def _fill(self) -> None:
        """Start what is missing: one for each worker that has been stalled for a while, up to the most."""
        if self._closed:
            return
        long_ago = self._clock.monotonic() - GROW_AFTER * self._settings.stall_after
        stalled = sum((worker.pulse.stalled_since or long_ago) < long_ago for worker in self._workers)
        wanted = min(self._size.idle + stalled, self._size.most)
        for _ in range(wanted - len(self._workers) - self._starting):
            self._starting += 1
            self._spawn(self._add())
        if len(self._workers) + self._starting > self._size.idle and self._shrinking is None:
            self._shrinking = asyncio.get_running_loop().call_later(SHRINK_AFTER, self._shrink)

    def _shrink(self) -> None:
        """Let the youngest idle workers go."""
        self._shrinking = None
        ready = self._ready()
        for worker in reversed(ready[self._size.idle :]):
            if not worker.running:
                worker.drain()
        if len(self._ready()) > self._size.idle:
            self._shrinking = asyncio.get_running_loop().call_later(SHRINK_AFTER, self._shrink)

    async def _add(self) -> None:
        """Start one more worker, after a wait when starts keep failing."""
        try:
            await asyncio.sleep(self._backoff())
            worker, _ = await self._launch()
            if self._closed:
                worker.kill()
            self._join(worker)
            worker.announce(self._streams)
        except HeadwaterError as fault:
            self._failures += 1
            log.error("%s", fault.message, extra={"fields": fault.details})
            if not self._workers:
                self._give_up(fault)
        finally:
            self._starting -= 1
        if not self._closed:
            self._flush()
            self._fill()

    def _backoff(self) -> float:
        return 0.0 if self._failures < 2 else min(0.1 * 2**self._failures, MOST_BACKOFF)

    def _give_up(self, fault: HeadwaterError) -> None:
        """Nobody can take what waits, and the next start may fail too."""
        while self._waiting:
            self._waiting.popleft().fail(WorkerLost(f"No worker could be started: {fault.message}"))

    async def _launch(self) -> tuple[Worker, dict[str, Any]]:
        settings = self._settings
        worker = Worker(self, self._parts.late_calls(), self._clock, stall_after=settings.stall_after)
        manifest = await worker.load(self._parts.launch, self._load, timeout=settings.start_timeout)
        return worker, manifest

    def _join(self, worker: Worker) -> None:
        self._workers.append(worker)
        self._born[worker] = self._clock.monotonic()
        self._emptied.clear()
        self._parts.intake.attach(worker.process)
        worker.ended.add_done_callback(lambda ended: self._lost(worker, ended.result()))

    def _lost(self, worker: Worker, how: str) -> None:
        """A worker is gone: fail what ran on it, move what had not started, replace it."""
        self._workers.remove(worker)
        self._parts.intake.detach(worker.process)
        lived = self._clock.monotonic() - self._born.pop(worker)
        if not worker.draining:
            self._failures = self._failures + 1 if lived < QUICK_DEATH else 0
            log.error("Worker %d ended: %s", worker.pid, how, extra={"fields": {"pid": worker.pid}})
        for invocation in list(worker.running.values()):
            self._rescue(invocation, how)
        worker.running.clear()
        if not self._workers:
            self._emptied.set()
        self._fill()

    def _rescue(self, invocation: Invocation, how: str) -> None:
        invocation.losses += 1
        if invocation.started or invocation.losses >= MOST_LOSSES:
            invocation.fail(lost(invocation, how))
        elif not invocation.done.done():
            losses = invocation.losses
            invocation.reset()
            invocation.losses = losses
            self.take(invocation)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _overloaded(limit: int) -> Overloaded:
    return Overloaded(
        f"{limit} requests wait for a worker already.",
        hint="Every worker is busy or blocked; raise workers.max_size, or make the steps faster.",
        limit=limit,
    )
