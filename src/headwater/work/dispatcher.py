"""Runs jobs: accepts them, takes what is due, and has attempts made. The life of a job is here.

    accepted --> queued --> running --> done
                   ^           |
                   |           +--> retrying --(its time comes)--> running
                   |           +--> dead        (no try is left)
                   +-----------+  handed on     (its generation or the server ends; counts as no attempt)

Accepted means committed: a job is in the store from then on until the unit that settles it. A job that can
begin at once is committed as begun, which saves it a second commit. Knows queues and the ledger; how an
attempt goes and ends is in `attempts.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from headwater.clock import Clock
from headwater.config import WorkSettings
from headwater.errors import QueueFull
from headwater.model import Write
from headwater.streams.commits import answered, refused
from headwater.work.attempt import Performer
from headwater.work.attempts import Attempts
from headwater.work.cache import JobCache
from headwater.work.consumer import Consumer, Consumers
from headwater.work.job import Accepted, Job, with_payload
from headwater.work.ledger import Ledger
from headwater.work.queues import Queues, Waiting
from headwater.work.retry import due_at_start
from headwater.work.teller import QUIET, Teller

log = logging.getLogger("headwater.work")


class Dispatcher:
    """All jobs of the process. `start`, then `accept`; `close` ends it."""

    def __init__(
        self,
        ledger: Ledger,
        performer: Performer,
        settings: WorkSettings,
        clock: Clock,
        teller: Teller = QUIET,
    ) -> None:
        self._teller = teller
        self.consumers = Consumers()
        self.queues = Queues()
        self._ledger = ledger
        self._performer = performer
        self._settings = settings
        self._clock = clock
        self._paused: frozenset[str] = frozenset()
        self._cache = JobCache(settings.cache_bytes)
        self.attempts = Attempts(
            ledger, performer, self.queues, self._cache, self._consumer, settings, clock, teller
        )
        self._entering: Counter[str] = Counter()
        """Jobs of a queue that are being committed, to come into it then."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._started = self._closed = False

    @property
    def cached_bytes(self) -> int:
        """Bytes of waiting jobs that are held beside the store."""
        return self._cache.used

    # --- what there is to run, and who runs it ---

    async def start(self, paused: Iterable[str] = ()) -> None:
        """Take up what the store holds. Jobs that were running when the last process ended have used up that
        attempt.

        :raises StoreUnavailable: the store cannot be read.
        """
        self._paused = frozenset(paused)
        now = self._clock.now()
        async for job in self._ledger.all():
            if job.status == "running":
                self._cache.put(job)  # As running: `begin` finds that it counts.
            begun = job.status in ("running", "cancelling")
            due = 0.0 if begun else due_at_start(job, now, self._settings.retry_most)
            waiting = Waiting(job.queue, job.id, due, job.lane)
            waiting.cancelled = job.status == "cancelling"
            waiting.retrying = job.status == "retrying"
            self.queues.add(waiting, now)
            for place in job.owns:
                self.attempts.claim(job.id, place)
        self._started = True
        self._configure()
        for queue in self.queues:
            for waiting in [one for one in queue.held.values() if one.cancelled and not one.running]:
                self._end_now(waiting)

    def consume(self, consumers: Consumers) -> None:
        """A generation takes over: these steps consume from now on. What they have no step for waits."""
        self.consumers = consumers
        self._configure()

    def pause(self, paused: Iterable[str]) -> None:
        """Let these queues start nothing, and all others start."""
        self._paused = frozenset(paused)
        self._configure()

    def _configure(self) -> None:
        names = {*self.consumers.names, *(queue.name for queue in self.queues)}
        for name in names:
            consumer = self.consumers.named(name)
            idle = consumer is None or name in self._paused or not self._started
            most = consumer.concurrency if consumer is not None else 1
            self.queues.configure(name, concurrency=most, paused=idle)
        self._pump()

    def _consumer(self, queue: str) -> Consumer | None:
        return self.consumers.named(queue)

    @property
    def size(self) -> int:
        """Jobs that are not settled, those on their way into the store among them."""
        return self.queues.size

    # --- accepting ---

    def accept(
        self,
        jobs: Sequence[Job],
        payload: bytes,
        key: str | None = None,
        *,
        beside: Sequence[Write] = (),
        settles: Sequence[int] = (),
    ) -> asyncio.Future[Accepted]:
        """Accept jobs that share a payload, all or none; the future is done once they are committed, and the
        writes `beside` with them. A `key` that was used in the last day makes no new jobs.

        The future raises QueueFull, StoreUnavailable or, where too much waits for a commit, TooMany.
        """
        if (full := self._full(len(jobs))) is not None:
            return refused(full)
        if not jobs and not settles:
            return answered(Accepted())
        done: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        now = self._clock.now()
        entered = [self._enter(with_payload(job, payload), now, claim=key is None) for job in jobs]
        begun = [job for job, _ in entered]
        committing = self._ledger.enqueue([(job, payload) for job in begun], key, beside, settles)
        committing.add_done_callback(lambda ended: self._accepted(entered, payload, ended, done))
        return done

    def revive(self, job: Job, payload: bytes, version: int) -> asyncio.Future[Accepted]:
        """Accept a dead job anew, whose item has that version; the future is done once that is committed, or
        raises Conflict where it is not dead any more, QueueFull, TooMany, StoreUnavailable."""
        if (full := self._full(1)) is not None:
            return refused(full)
        done: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        entered = [self._enter(with_payload(job, payload), self._clock.now(), claim=False)]
        committing = self._ledger.revive(entered[0][0], payload, version)
        committing.add_done_callback(lambda ended: self._accepted(entered, payload, ended, done))
        return done

    def _full(self, more: int) -> QueueFull | None:
        """Why so many more jobs cannot be accepted, or None."""
        limit = self._settings.max_queued
        if self.queues.size + more <= limit:
            return None
        hint = "Let them be done, or raise [work] max_queued; `headwater queue list` shows them."
        error = QueueFull(f"{limit} events wait already, which is the limit.", hint=hint, limit=limit)
        return error.at("work.max_queued", limit)

    def keep(self, write: Write) -> None:
        """Commit a write that goes with work; nobody waits for it."""
        self._ledger.put(write)

    def _enter(self, job: Job, now: float, *, claim: bool) -> tuple[Job, Waiting]:
        """A job's place. One that can begin at once is committed as begun, unless others of its queue are on
        their way into it. Those come in once they are committed, which is in this order."""
        waiting = Waiting(job.queue, job.id, job.due, job.lane)
        ready = claim and job.due <= now and self._started and not self._closed
        if ready and not self._entering[job.queue] and self.queues.claim(waiting):
            return job._replace(status="running", attempts=1, begun=True), waiting
        self._entering[job.queue] += 1
        return job, waiting

    def _accepted(
        self,
        entered: list[tuple[Job, Waiting]],
        payload: bytes,
        committed: asyncio.Future[Accepted],
        done: asyncio.Future[Accepted],
    ) -> None:
        error = committed.exception()
        new = error is None and not committed.result().repeated
        now = self._clock.now()
        for job, waiting in entered:
            began = waiting.running
            if not began:
                self._entering[job.queue] -= 1
            if not new:
                if began:
                    self.queues.settle(waiting, now)
                continue
            self._teller.accepted(job)
            if began:
                self._spawn(waiting, self.attempts.make(waiting, job, payload))
            else:
                self._cache.put(job, payload)
                self.queues.add(waiting, now)
        if not done.done():
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(committed.result())
        self._pump()

    # --- running ---

    def look(self) -> None:
        """Start what has come due; for whoever knows that the clock was set."""
        self._pump()

    def _pump(self) -> None:
        """Start whatever may start now, and see to it that the next is looked for in time."""
        if not self._started or self._closed:
            return
        now = self._clock.now()
        while (waiting := self.queues.take(now)) is not None:
            self._spawn(waiting, self.attempts.begin(waiting))
        due = self.queues.wake_at()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            # Looked at again after a minute at the latest: the wall clock may jump.
            delay = min(max(due - now, 0.0), 60.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self._pump)

    def _spawn(self, waiting: Waiting, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running[waiting.id] = task
        task.add_done_callback(lambda ended: self._left(waiting, ended))

    def _left(self, waiting: Waiting, task: asyncio.Task[None]) -> None:
        self._running.pop(waiting.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A job was left without an end; it is taken up at the next start", exc_info=error)
        self._pump()

    def take_out(self, waiting: Waiting) -> tuple[Job | None, bytes | None]:
        """Let a job that waits start no more, to be ended. Answers it and its payload where in memory."""
        self.queues.start(waiting)
        return self._cache.take(waiting.id)

    # --- cancelling ---

    async def cancel(self, run: str) -> bool:
        """Stop a run, or take it back where it waits; False where there is none that has not ended.

        One under way is `cancelling` until its handler has returned. It is cancelled also if the server ends
        before that.

        :raises StoreUnavailable: the store cannot be read or written.
        """
        waiting = next((found for queue in self.queues if (found := queue.held.get(run)) is not None), None)
        if waiting is None or waiting.cancelled:
            return waiting is not None
        waiting.cancelled = True
        attempt = self.attempts.under_way.get(run)
        if attempt is not None:
            attempt.job = attempt.job._replace(status="cancelling")
            self._performer.cancel(run)
            await self._ledger.rewrite(attempt.job)
        elif not waiting.running:
            self._end_now(waiting)
            await asyncio.wait([self._running[run]])
        return True

    def _end_now(self, waiting: Waiting) -> None:
        """Have a cancelled job settled ahead of its turn: it needs no step, and no leave of its queue."""
        self.queues.start(waiting)
        self._spawn(waiting, self.attempts.begin(waiting))

    # --- ending ---

    def rest(self) -> None:
        """Start nothing more. What runs goes on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """Start nothing more, and wait for what runs. Whoever performs must have begun to hand on by then."""
        self.rest()
        self.attempts.surely.ended = True
        while self._running:
            await asyncio.wait(self._running.values())
