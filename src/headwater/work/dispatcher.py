"""Runs jobs: takes what is due, has it performed, and writes down what became of it. The life of a job is
here.

    accepted --> queued --> running --> done
                   ^           |
                   |           +--> retrying --(its time comes)--> running
                   |           +--> dead        (no try is left)
                   +-----------+  handed on     (its generation or the server ends; counts as no attempt)

Rules: - Accepted means committed. A job is in the store from then on until the unit that settles it. - An
attempt is counted before it begins, so a job that takes its process along ends too. A job that can begin at
  once is committed as begun, which saves it a second commit.
- Whoever finds a job `running` at start knows that the server died in that attempt.
- What cannot be written is tried again until it can: a job whose end is not known is not run twice meanwhile.

Knows queues and the ledger, and whoever performs only by `Performer`; no step, no worker.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from headwater.clock import Clock
from headwater.config import WorkSettings
from headwater.errors import TooMany
from headwater.logline import Line, tell_fault
from headwater.model import Write
from headwater.streams.commits import refused
from headwater.work.attempt import Attempt, Failure, HandedOn, Performer
from headwater.work.cache import JobCache
from headwater.work.consumer import Consumers
from headwater.work.insistence import Insistence
from headwater.work.job import Ending, Job, Place, with_payload
from headwater.work.ledger import Ledger
from headwater.work.queues import Queues, Waiting
from headwater.work.retry import HAND_ON_SECONDS, RetryPolicy
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
        self._policy = RetryPolicy(settings.retry_first, settings.retry_most)
        self._paused: frozenset[str] = frozenset()
        self._cache = JobCache(settings.cache_bytes)
        self._count = 0
        self._entering: Counter[str] = Counter()
        """Jobs of a queue that are being committed, to come into it then."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self.attempts: dict[str, Attempt] = {}
        """Those under way, by their runs."""
        self.owned: dict[Place, str] = {}
        """The runs that have claimed an item, by the item."""
        self._surely = Insistence()
        self._timer: asyncio.TimerHandle | None = None
        self._started = self._closed = False

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
                self._cache.put(job)  # As running: `_begin` finds that it counts.
            begun = job.status in ("running", "cancelling")
            waiting = Waiting(job.queue, job.id, 0.0 if begun else job.due, job.lane)
            waiting.cancelled = job.status == "cancelling"
            waiting.retrying = job.status == "retrying"
            self.queues.add(waiting, now)
            self.owned.update(dict.fromkeys(job.owns, job.id))
            self._count += 1
        self._started = True
        self._configure()

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

    @property
    def size(self) -> int:
        """Jobs that are not settled."""
        return self._count

    # --- accepting ---

    def accepted(self) -> asyncio.Future[None]:
        """The answer to what needs nothing done."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def accept(
        self,
        jobs: Sequence[Job],
        payload: bytes,
        key: str | None = None,
        *,
        beside: Sequence[Write] = (),
        settles: Sequence[int] = (),
    ) -> asyncio.Future[None]:
        """Accept jobs that share a payload, all or none; the future is done once they are committed, and the
        writes `beside` with them. A `key` that was used in the last day makes no new jobs.

        The future raises TooMany, StoreUnavailable.
        """
        if (full := self._full(len(jobs))) is not None:
            return refused(full)
        if not jobs and not settles:
            return self.accepted()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        now = self._clock.now()
        entered = [self._enter(with_payload(job, payload), now, claim=key is None) for job in jobs]
        begun = [job for job, _ in entered]
        committing = self._ledger.enqueue([(job, payload) for job in begun], key, beside, settles)
        committing.add_done_callback(lambda ended: self._accepted(entered, payload, ended, done))
        return done

    def revive(self, job: Job, payload: bytes, version: int) -> asyncio.Future[None]:
        """Accept a dead job anew, whose item has that version; the future is done once that is committed, or
        raises Conflict where it is not dead any more, TooMany, StoreUnavailable."""
        if (full := self._full(1)) is not None:
            return refused(full)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entered = [self._enter(with_payload(job, payload), self._clock.now(), claim=False)]
        committing = self._ledger.revive(entered[0][0], payload, version)
        committing.add_done_callback(lambda ended: self._accepted(entered, payload, ended, done))
        return done

    def _full(self, more: int) -> TooMany | None:
        """Why so many more jobs cannot be accepted, or None."""
        limit = self._settings.max_queued
        if self._count + more <= limit:
            return None
        hint = "Let them be done, or raise [work] max_queued; `headwater queue list` shows them."
        error = TooMany(f"{limit} jobs wait already, which is the limit.", hint=hint, limit=limit)
        return error.at("work.max_queued", limit)

    def keep(self, write: Write) -> None:
        """Commit a write that goes with work; nobody waits for it."""
        self._ledger.keep(write).add_done_callback(lambda done: done.cancelled() or done.exception())

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
        committed: asyncio.Future[bool],
        done: asyncio.Future[None],
    ) -> None:
        error = committed.exception()
        new = error is None and committed.result()
        now = self._clock.now()
        for job, waiting in entered:
            began = waiting.running
            if not began:
                self._entering[job.queue] -= 1
            if not new:
                if began:
                    self.queues.settle(waiting, now)
                continue
            self._count += 1
            self._teller.accepted(job)
            if began:
                self._spawn(waiting, self._attempt(waiting, job, payload))
            else:
                self._cache.put(job, payload)
                self.queues.add(waiting, now)
        if not done.done():
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(None)
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
            self._spawn(waiting, self._begin(waiting))
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

    async def _begin(self, waiting: Waiting) -> None:
        """Count the next attempt of a job that waited, and make it."""
        job, payload = self._cache.take(waiting.id)
        if job is None:
            job = await self._surely(lambda: self._ledger.read(waiting.queue, waiting.id))
        if job is None:  # Somebody took it out of the store.
            self.settled(waiting)
            return
        if waiting.cancelled:
            await self._settle(waiting, job, Ending("cancelled", self._clock.now()), kept=job.begun)
            return
        if job.status == "running" and self._is_last(job):
            failure = Failure("SERVER_LOST", "The server ended while the job ran, in its last attempt.")
            await self._failed(waiting, job, failure, payload)
            return
        begun = job._replace(status="running", attempts=job.attempts + 1, begun=True)
        await self._surely(lambda: self._ledger.rewrite(begun))
        await self._attempt(waiting, begun, payload, resumed=job.begun)

    async def _attempt(
        self, waiting: Waiting, job: Job, payload: bytes | None, *, resumed: bool = False
    ) -> None:
        """Make one attempt that was counted, and write down what became of it.

        - Cancelled: that is its end, however it came to it.
        - Interrupted by a reload or the server's end: handed on.
        - Ended well: done. Else it is tried again, or given up.
        """
        data = await self._payload(job, payload)
        attempt = self.attempts[job.id] = Attempt(waiting, job, kept=resumed)
        self._teller.begun(job)
        failure: Failure | None = None
        handed_on = False
        try:
            if not waiting.cancelled:
                failure = await self._performer.perform(job, data, resumed=resumed)
        except HandedOn:
            handed_on = True
        except Exception:
            tell_fault(log, Line(job.queue, job.trace, {"job": job.id}), "An attempt broke in the server")
            failure = Failure("INTERNAL", "The server failed at this attempt; see its log.")
        finally:
            del self.attempts[job.id]
        job = attempt.job
        if waiting.cancelled:
            await self._settle(waiting, job, Ending("cancelled", self._clock.now()), kept=attempt.kept)
        elif handed_on:
            await self._hand_on(waiting, job, data)
        elif failure is None:
            await self._settle(waiting, job, Ending("done", self._clock.now()), kept=attempt.kept)
        else:
            await self._failed(waiting, job, failure, data, kept=attempt.kept)

    async def _settle(
        self, waiting: Waiting, job: Job, ending: Ending, payload: bytes | None = None, *, kept: bool
    ) -> None:
        """Write down a job's end, and forget what its run kept, if it did."""
        names = await self._surely(lambda: self._ledger.kept(job)) if kept else []
        await self._surely(lambda: self._ledger.settle(job, ending, payload, names))
        self._teller.ended(job, ending)
        self.settled(waiting, job)

    async def _payload(self, job: Job, known: bytes | None) -> bytes:
        return known if known is not None else await self._surely(lambda: self._ledger.payload(job))

    async def _hand_on(self, waiting: Waiting, job: Job, payload: bytes) -> None:
        again = job._replace(status="queued", attempts=job.attempts - 1)
        await self._surely(lambda: self._ledger.rewrite(again))
        self._cache.put(again, payload)
        now = self._clock.now()
        self.queues.again(waiting, now + HAND_ON_SECONDS, now)

    async def _failed(
        self, waiting: Waiting, job: Job, failure: Failure, known: bytes | None, *, kept: bool = True
    ) -> None:
        """Try it again later, or give it up where that was its last attempt."""
        now = self._clock.now()
        if not self._is_last(job):
            delay = self._policy.delay(job.attempts, random.random)
            again = job._replace(status="retrying", due=now + delay, error=failure.message)
            await self._surely(lambda: self._ledger.rewrite(again))
            self._teller.retried(job, failure, delay)
            self._cache.put(again, known)
            self.queues.again(waiting, again.due, now, failed=True)
            return
        payload = await self._payload(job, known)
        ending = Ending("dead", now, failure.code, failure.message, failure.traceback)
        await self._settle(waiting, job, ending, payload, kept=kept)
        self._teller.given_up(job, failure)

    def take_out(self, waiting: Waiting) -> tuple[Job | None, bytes | None]:
        """Let a job that waits start no more, to be ended. Answers it and its payload where in memory."""
        self.queues.start(waiting)
        return self._cache.take(waiting.id)

    def settled(self, waiting: Waiting, job: Job | None = None) -> None:
        """A job's end is written down."""
        for place in job.owns if job is not None else ():
            if self.owned.get(place) == waiting.id:
                del self.owned[place]
        self._count -= 1
        self.queues.settle(waiting, self._clock.now())

    def _is_last(self, job: Job) -> bool:
        consumer = self.consumers.named(job.queue)
        return consumer is not None and job.attempts > consumer.retries

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
        attempt = self.attempts.get(run)
        if attempt is not None:
            attempt.job = attempt.job._replace(status="cancelling")
            self._performer.cancel(run)
            await self._ledger.rewrite(attempt.job)
        elif not waiting.running:
            self.queues.start(waiting)
            self._spawn(waiting, self._begin(waiting))
            await asyncio.wait([self._running[run]])
        return True

    # --- ending ---

    async def close(self) -> None:
        """Start nothing more, and wait for what runs. Whoever performs must have begun to hand on by then."""
        self._closed = self._surely.ended = True
        if self._timer is not None:
            self._timer.cancel()
        while self._running:
            await asyncio.wait(self._running.values())
