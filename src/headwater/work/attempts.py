"""Makes attempts at jobs, and writes down what became of each.

Rules:

- An attempt is counted before it begins, so a job that takes its process along ends too.
- Whoever finds a job `running` at start knows that the server died in that attempt.
- What cannot be written is tried again until it can: a job whose end is not known is not run twice meanwhile.

Knows who has an attempt under way and which items runs have claimed; not what is due next, which is the
dispatcher's. Knows whoever performs only by `Performer`; no step, no worker.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection

from headwater.clock import Clock
from headwater.config import WorkSettings
from headwater.logline import Line, tell_fault
from headwater.work.attempt import Attempt, Failure, HandedOn, Performer
from headwater.work.cache import JobCache
from headwater.work.consumer import Consumer
from headwater.work.insistence import Insistence
from headwater.work.job import Ending, Job, Place
from headwater.work.ledger import Ledger
from headwater.work.queues import Queues, Waiting
from headwater.work.retry import HAND_ON_SECONDS, RetryPolicy
from headwater.work.teller import Teller

log = logging.getLogger("headwater.work")


class Attempts:
    """Those under way, and their ends. `consumer` answers who consumes a queue now."""

    def __init__(
        self,
        ledger: Ledger,
        performer: Performer,
        queues: Queues,
        cache: JobCache,
        consumer: Callable[[str], Consumer | None],
        settings: WorkSettings,
        clock: Clock,
        teller: Teller,
    ) -> None:
        self.under_way: dict[str, Attempt] = {}
        """By their runs."""
        self.owned: dict[Place, tuple[str, ...]] = {}
        """The runs that have claimed an item and not ended, by the item."""
        self.surely = Insistence()
        self._ledger = ledger
        self._performer = performer
        self._queues = queues
        self._cache = cache
        self._consumer = consumer
        self._policy = RetryPolicy(settings.retry_first, settings.retry_most)
        self._clock = clock
        self._teller = teller

    async def begin(self, waiting: Waiting) -> None:
        """Count the next attempt of a job that waited, and make it."""
        job, payload = self._cache.take(waiting.id)
        if job is None:
            job = await self.surely(lambda: self._ledger.read(waiting.queue, waiting.id))
        if job is None:  # Somebody took it out of the store.
            self.settled(waiting)
            return
        kept = await self._kept(job)
        if waiting.cancelled:
            await self._settle(waiting, job, Ending("cancelled", self._clock.now()), kept)
            return
        if job.status == "running" and self._is_last(job):
            failure = Failure("SERVER_LOST", "The server ended while the job ran, in its last attempt.")
            await self._failed(waiting, job, failure, payload, kept)
            return
        begun = job._replace(status="running", attempts=job.attempts + 1, begun=True)
        await self.surely(lambda: self._ledger.rewrite(begun))
        await self.make(waiting, begun, payload, kept, resumed=job.begun)

    async def make(
        self,
        waiting: Waiting,
        job: Job,
        payload: bytes | None,
        kept: Collection[str] = (),
        *,
        resumed: bool = False,
    ) -> None:
        """Make one attempt that was counted, and write down what became of it. `kept` are the names under
        which earlier attempts of a run that is `resumed` have kept results.

        - Cancelled: that is its end, however it came to it.
        - Interrupted by a reload or the server's end: handed on.
        - Ended well: done. Else it is tried again, or given up.
        """
        data = await self._payload(job, payload)
        attempt = self.under_way[job.id] = Attempt(waiting, job, set(kept))
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
            del self.under_way[job.id]
        job = attempt.job
        if waiting.cancelled:
            await self._settle(waiting, job, Ending("cancelled", self._clock.now()), attempt.kept)
        elif handed_on:
            await self._hand_on(waiting, job, data)
        elif failure is None:
            await self._settle(waiting, job, Ending("done", self._clock.now()), attempt.kept)
        else:
            await self._failed(waiting, job, failure, data, attempt.kept)

    async def _settle(
        self,
        waiting: Waiting,
        job: Job,
        ending: Ending,
        kept: Collection[str],
        payload: bytes | None = None,
    ) -> None:
        """Write down a job's end, and forget what its run kept."""
        await self.surely(lambda: self._ledger.settle(job, ending, payload, kept))
        self._teller.ended(job, ending)
        self.settled(waiting, job)

    async def _kept(self, job: Job) -> Collection[str]:
        return await self.surely(lambda: self._ledger.kept(job)) if job.begun else ()

    async def _payload(self, job: Job, known: bytes | None) -> bytes:
        return known if known is not None else await self.surely(lambda: self._ledger.payload(job))

    async def _hand_on(self, waiting: Waiting, job: Job, payload: bytes) -> None:
        again = job._replace(status="queued", attempts=job.attempts - 1)
        await self.surely(lambda: self._ledger.rewrite(again))
        self._cache.put(again, payload)
        now = self._clock.now()
        self._queues.again(waiting, now + HAND_ON_SECONDS, now)

    async def _failed(
        self,
        waiting: Waiting,
        job: Job,
        failure: Failure,
        known: bytes | None,
        kept: Collection[str],
    ) -> None:
        """Try it again later, or give it up where that was its last attempt."""
        now = self._clock.now()
        if not self._is_last(job):
            delay = self._policy.delay(job.attempts, random.random)
            again = job._replace(status="retrying", due=now + delay, error=failure.message)
            await self.surely(lambda: self._ledger.rewrite(again))
            self._teller.retried(job, failure, delay)
            self._cache.put(again, known)
            self._queues.again(waiting, again.due, now, failed=True)
            return
        payload = await self._payload(job, known)
        ending = Ending("dead", now, failure.code, failure.message, failure.traceback)
        await self._settle(waiting, job, ending, kept, payload)
        self._teller.given_up(job, failure)

    def claim(self, run: str, place: Place) -> None:
        """A run has claimed an item, once; others may have as well."""
        self.owned[place] = (*self.owned.get(place, ()), run)

    def settled(self, waiting: Waiting, job: Job | None = None) -> None:
        """A job's end is written down."""
        for place in job.owns if job is not None else ():
            others = tuple(run for run in self.owned.get(place, ()) if run != waiting.id)
            if others:
                self.owned[place] = others
            else:
                self.owned.pop(place, None)
        self._queues.settle(waiting, self._clock.now())

    def _is_last(self, job: Job) -> bool:
        consumer = self._consumer(job.queue)
        return consumer is not None and job.attempts > consumer.retries
