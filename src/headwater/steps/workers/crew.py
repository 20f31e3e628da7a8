"""How many workers a pool has: the start of each, growth while some are stalled, replacement of the dead.

Owns the processes' number and nothing of what runs on them (`pool.py` does).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headwater.clock import Clock
from headwater.config import WorkerSettings
from headwater.errors import HeadwaterError
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.intake import Intake
from headwater.steps.workers.invocation import Calls
from headwater.steps.workers.process import Launch
from headwater.steps.workers.worker import Listener, Worker

log = logging.getLogger("headwater.steps")

GROW_AFTER = 5.0
"""How long a worker must be stalled before another is started for it, in units of `stall_after`; when at most
one answers, another is started at once."""
SHRINK_AFTER = 30.0
"""Seconds after which workers beyond the usual number are let go."""
QUICK_DEATH = 5.0
"""A worker that lives for fewer seconds than this counts as failing; the next start may have to wait."""
MOST_BACKOFF = 10.0
"""Seconds, the longest wait before another start."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pool stands on. `calls` makes the server of the calls of one invocation."""

    launch: Launch
    settings: WorkerSettings
    intake: Intake
    calls: Callable[[], Calls]
    clock: Clock


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
    def usual(self) -> int:
        """How many there are when nothing is stalled."""
        return min(self.warm + 1, self.most)

    @property
    def reserve(self) -> bool:
        """Whether one is kept back."""
        return self.usual > self.warm


class Owner(Listener, Protocol):
    """What a crew tells its pool, beside what its workers tell it."""

    def joined(self, worker: Worker) -> None:
        """One more worker may be given invocations."""
        ...

    def lost(self, worker: Worker, how: str) -> None:
        """A worker's process is gone; what was on it is still listed there."""
        ...

    def deserted(self, fault: HeadwaterError) -> None:
        """There is no worker, and none could be started just now; it is tried again."""
        ...


class Crew:
    """The workers of one pool. `start` brings the first, `open` the others."""

    def __init__(self, owner: Owner, parts: Parts, load: Message) -> None:
        self.size = Size.of(parts.settings)
        self.workers: list[Worker] = []
        self._owner = owner
        self._parts = parts
        self._load = load
        self._manifest: dict[str, Any] = {}
        self._streams: Sequence[str] = ()
        self._born: dict[Worker, float] = {}
        self._starting = 0
        self._failures = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._shrinking: asyncio.TimerHandle | None = None
        self._closed = False
        self._deserted = asyncio.Event()
        self._deserted.set()

    @property
    def growing(self) -> bool:
        """Whether one more worker will be there soon."""
        return self._starting > 0 and self._failures == 0

    def ready(self) -> list[Worker]:
        """The workers that may be given something."""
        return [worker for worker in self.workers if not worker.draining]

    async def start(self) -> dict[str, Any]:
        """Start the first worker; answers its manifest. For what it raises see `Worker.load`."""
        worker, self._manifest = await self._launch()
        self._join(worker)
        return self._manifest

    def open(self, streams: Sequence[str]) -> None:
        """Tell the workers the names of all streams and start the others."""
        self._streams = tuple(streams)
        for worker in self.workers:
            worker.announce(self._streams)
        self.fill()

    def close(self) -> None:
        """Start no more workers; those that are there end once what runs on them has ended."""
        if self._closed:
            return
        self._closed = True
        if self._shrinking is not None:
            self._shrinking.cancel()
        for task in self._tasks:
            task.cancel()
        for worker in self.workers:
            worker.drain()

    async def ended(self) -> None:
        """Wait until the last worker is gone."""
        await self._deserted.wait()

    async def kill(self, reason: str = "") -> None:
        """End all workers now; returns when they are gone."""
        self.close()
        for worker in self.workers:
            worker.kill(reason)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ended()

    def fill(self) -> None:
        """Start what is missing: one more for each worker stalled for a while, up to the most."""
        if self._closed:
            return
        for _ in range(self._wanted() - len(self.workers) - self._starting):
            self._starting += 1
            self._spawn(self._add())
        if len(self.workers) + self._starting > self.size.usual and self._shrinking is None:
            self._shrinking = asyncio.get_running_loop().call_later(SHRINK_AFTER, self._shrink)

    def _wanted(self) -> int:
        alive = sum(not worker.stalled for worker in self.workers)
        patience = GROW_AFTER * self._parts.settings.stall_after if alive > 1 else 0.0
        since = self._parts.clock.monotonic() - patience
        stalled = sum(one.stalled and (one.pulse.stalled_since or 0.0) <= since for one in self.workers)
        return min(self.size.usual + stalled, self.size.most)

    def _shrink(self) -> None:
        """Let the youngest idle workers go."""
        self._shrinking = None
        for worker in reversed(self.ready()[self.size.usual :]):
            if not worker.running:
                worker.drain()
        if len(self.ready()) > self.size.usual:
            self._shrinking = asyncio.get_running_loop().call_later(SHRINK_AFTER, self._shrink)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _add(self) -> None:
        """Start one more worker, after a wait when starts keep failing."""
        try:
            await asyncio.sleep(self._backoff())
            worker, manifest = await self._launch()
            self._compare(manifest)
            worker.announce(self._streams)
            self._join(worker)
        except HeadwaterError as fault:
            self._failures += 1
            log.error("%s", fault.message, extra={"fields": fault.details})
            if not self.workers:
                self._owner.deserted(fault)
        finally:
            self._starting -= 1
        self.fill()

    def _backoff(self) -> float:
        return 0.0 if self._failures < 2 else min(0.1 * 2**self._failures, MOST_BACKOFF)

    async def _launch(self) -> tuple[Worker, dict[str, Any]]:
        parts, settings = self._parts, self._parts.settings
        worker = Worker(self._owner, parts.calls(), parts.clock, stall_after=settings.stall_after)
        manifest = await worker.load(parts.launch, self._load, timeout=settings.start_timeout)
        return worker, manifest

    def _compare(self, manifest: dict[str, Any]) -> None:
        """A file that loads once and not again (it takes a port, a lock) fails in this worker alone."""
        for problem in manifest["problems"]:
            if problem not in self._manifest["problems"]:
                place = f"{problem.get('file')}:{problem.get('line')}"
                extra = {"traceback": str(problem.get("traceback") or ""), "fields": {"file": place}}
                text = "%s loaded in the first worker and fails in another: %s"
                log.error(text, place, problem.get("message"), extra=extra)

    def _join(self, worker: Worker) -> None:
        self.workers.append(worker)
        self._born[worker] = self._parts.clock.monotonic()
        self._deserted.clear()
        self._parts.intake.attach(worker.process)
        worker.ended.add_done_callback(lambda ended: self._lost(worker, ended.result()))
        self._owner.joined(worker)

    def _lost(self, worker: Worker, how: str) -> None:
        self.workers.remove(worker)
        self._parts.intake.detach(worker.process)
        lived = self._parts.clock.monotonic() - self._born.pop(worker)
        if not worker.draining:
            self._failures = self._failures + 1 if lived < QUICK_DEATH else 0
            log.error("Worker %d ended: %s", worker.pid, how, extra={"fields": {"pid": worker.pid}})
        self._owner.lost(worker, how)
        if not self.workers:
            self._deserted.set()
        self.fill()
