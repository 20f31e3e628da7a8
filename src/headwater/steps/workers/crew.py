"""The processes of one kind that a pool has: the start of each, replacement of the dead, the end.

Owns the processes and nothing of what runs on them (`pool.py` does). How many there should be says
`sizes.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from headwater.clock import Clock
from headwater.config import WorkerSettings
from headwater.errors import HeadwaterError
from headwater.logline import Line, tell
from headwater.observe import SILENT, Observer, tell_limit
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.intake import Intake
from headwater.steps.workers.invocation import Calls
from headwater.steps.workers.once import Once
from headwater.steps.workers.process import Launch
from headwater.steps.workers.sizes import SHRINK_AFTER, Size, Sizing
from headwater.steps.workers.worker import Listener, Worker

log = logging.getLogger("headwater.steps")

QUICK_DEATH = 5.0
"""A worker that lives for fewer seconds than this counts as failing; the next start may have to wait."""
MOST_NAMED = 5
"""Files that the line about a worker's end names; its fields have all."""
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
    observer: Observer = SILENT
    once: Once = field(default_factory=Once)


class Owner(Listener, Protocol):
    """What a crew tells its pool, beside what its workers tell it."""

    def joined(self, worker: Worker) -> None:
        """One more worker may be given invocations."""
        ...

    def lost(self, worker: Worker, how: str) -> None:
        """A worker's process is gone; what was on it is still listed there."""
        ...

    def deserted(self, crew: Crew, fault: HeadwaterError) -> None:
        """The crew has no worker, and none could be started just now; it is tried again."""
        ...


class Crew:
    """Workers of one kind, kept in the list `workers`. `start` brings the first, `open` the others."""

    def __init__(
        self, owner: Owner, parts: Parts, load: Message, sizing: Sizing, workers: list[Worker]
    ) -> None:
        self.workers = workers
        self._sizing = sizing
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
    def size(self) -> Size:
        """How many there usually are, and the most."""
        return self._sizing.size

    @property
    def has_room(self) -> bool:
        """Whether there may be more of them than there are."""
        return self._sizing.room(self.ready()) > 0

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

    @property
    def manifest(self) -> dict[str, Any]:
        """What the first worker has declared."""
        return self._manifest

    def open(self, streams: Sequence[str], manifest: dict[str, Any] | None = None) -> None:
        """Tell the workers the names of all streams and start the others. `manifest` is what to compare
        theirs with, where the first worker is none of this crew."""
        self._streams = tuple(streams)
        self._manifest = manifest or self._manifest
        for worker in self.workers:
            worker.announce(self._streams)
        self.fill()

    def close(self, linger: float = 0.0) -> None:
        """Start no more workers; those that are there end once what runs on them has ended, and at most
        `linger` seconds later what invocations left running."""
        if self._closed:
            return
        self._closed = True
        if self._shrinking is not None:
            self._shrinking.cancel()
        for task in self._tasks:
            task.cancel()
        for worker in self.workers:
            worker.drain(linger)

    async def ended(self) -> None:
        """Wait until the last worker is gone."""
        await self._deserted.wait()

    async def end(self, reason: str) -> None:
        """End all workers, which tell what they end; returns when they are gone."""
        self.close()
        for worker in self.workers:
            worker.end(reason)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ended()

    async def kill(self, reason: str = "") -> None:
        """End all workers now; returns when they are gone."""
        self.close()
        for worker in self.workers:
            worker.kill(reason)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ended()

    def fill(self) -> None:
        """Start what is missing; let go what is idle and too much, after a while."""
        if self._closed:
            return
        ready = self.ready()
        wanted = self._sizing.wanted(ready, self._parts.clock.monotonic())
        missing = wanted - len(ready) - self._starting
        for _ in range(min(missing, self._sizing.starts - self._starting)):
            self._starting += 1
            self._spawn(self._add())
        self._shrink_later()

    def _shrink_later(self) -> None:
        if self._shrinking is None and not self._closed and len(self.workers) > self.size.usual:
            self._shrinking = asyncio.get_running_loop().call_later(SHRINK_AFTER, self._shrink)

    def _shrink(self) -> None:
        self._shrinking = None
        for worker in self._sizing.spare(self.ready(), self._parts.clock.monotonic()):
            worker.drain(self._parts.settings.linger_timeout)
        self._shrink_later()

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
            tell_limit(self._parts.observer, fault)
            tell(log, logging.ERROR, Line(fields=fault.details), "%s", fault.message)
            if not self.workers:
                self._owner.deserted(self, fault)
        finally:
            self._starting -= 1
        self.fill()

    def _backoff(self) -> float:
        return 0.0 if self._failures < 2 else min(0.1 * 2**self._failures, MOST_BACKOFF)

    async def _launch(self) -> tuple[Worker, dict[str, Any]]:
        parts, settings = self._parts, self._parts.settings
        worker = Worker(
            self._owner, parts.calls(), parts.clock, stall_after=settings.stall_after, once=parts.once
        )
        manifest = await worker.load(parts.launch, self._load, timeout=settings.start_timeout)
        return worker, manifest

    def _compare(self, manifest: dict[str, Any]) -> None:
        """A file that loads once and not again (it takes a port, a lock) fails in this worker alone."""
        for problem in manifest["problems"]:
            if problem not in self._manifest["problems"]:
                place = f"{problem.get('file')}:{problem.get('line')}"
                line = Line(fields={"file": place}, traceback=str(problem.get("traceback") or ""))
                text = "%s loaded in the first worker and fails in another: %s"
                tell(log, logging.ERROR, line, text, place, problem.get("message"))

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
            # What a request does to its worker says nothing about the next start.
            ran = worker.at_work
            self._failures = self._failures + 1 if lived < QUICK_DEATH and not ran else 0
            line = Line(fields={"pid": worker.pid, "files": list(ran)})
            while_ran = f", while it ran {', '.join(ran[:MOST_NAMED])}" if ran else ""
            tell(log, logging.ERROR, line, "Worker %d ended: %s%s", worker.pid, how, while_ran)
            self._parts.observer.lost(worker.pid, how)
        self._owner.lost(worker, how)
        if not self.workers:
            self._deserted.set()
        self.fill()
