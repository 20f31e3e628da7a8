"""Ends jobs that wait and are not to run: thrown away by people, or given up because their step is gone.

Owns how many at a time, so that a queue of any length holds up nobody. Jobs that run are left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from headwater.clock import Clock
from headwater.work.attempt import Failure
from headwater.work.dispatcher import Dispatcher
from headwater.work.insistence import Insistence
from headwater.work.job import Ending, Job
from headwater.work.ledger import Ledger
from headwater.work.queues import Waiting
from headwater.work.teller import Teller

AT_ONCE = 100


class Removal:
    """Takes jobs out of the queues of a dispatcher."""

    def __init__(self, dispatcher: Dispatcher, ledger: Ledger, teller: Teller, clock: Clock) -> None:
        self._teller = teller
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._clock = clock
        self._surely = Insistence()

    def close(self) -> None:
        """Insist on no more writes; what is not written is found at the next start."""
        self._surely.ended = True

    async def purge(self, step: str | None) -> AsyncGenerator[int]:
        """Throw away what waits for a step or for all; tells how many at a time.

        :raises StoreUnavailable: the server ended meanwhile.
        """
        for queue in [queue.name for queue in self._dispatcher.queues if step in (None, queue.name)]:
            for some in self._waiting(queue, lambda _waiting: True):
                yield sum(await asyncio.gather(*map(self._throw_away, some)))

    async def give_up(self, queue: str, failure: Failure, due_by: float) -> int:
        """Let what waits in a queue die that was due by then; answers how many did.

        :raises StoreUnavailable: the server ended meanwhile.
        """
        count = 0
        for some in self._waiting(queue, lambda waiting: waiting.due <= due_by):
            count += sum(await asyncio.gather(*(self._give_up(waiting, failure) for waiting in some)))
        return count

    def _waiting(self, queue: str, which: Callable[[Waiting], bool]) -> Sequence[Sequence[Waiting]]:
        held = [waiting for waiting in self._dispatcher.queues[queue].held.values() if which(waiting)]
        return [held[at : at + AT_ONCE] for at in range(0, len(held), AT_ONCE)]

    async def _throw_away(self, waiting: Waiting) -> bool:
        if not _still_waits(waiting):
            return False
        job, _ = self._dispatcher.take_out(waiting)
        job, kept = await self._known(waiting, job)
        if job is not None:
            found = job
            await self._surely(lambda: self._ledger.drop(found, kept))
            self._teller.ended(found, Ending("cancelled", self._clock.now()))
        self._dispatcher.attempts.settled(waiting, job)
        return True

    async def _give_up(self, waiting: Waiting, failure: Failure) -> bool:
        if not _still_waits(waiting):
            return False
        job, payload = self._dispatcher.take_out(waiting)
        job, kept = await self._known(waiting, job)
        if job is not None:
            found = job
            data = payload if payload is not None else await self._surely(lambda: self._ledger.payload(found))
            ending = Ending("dead", self._clock.now(), failure.code, failure.message)
            await self._surely(lambda: self._ledger.settle(found, ending, data, kept))
            self._teller.ended(found, ending)
            self._teller.given_up(found, failure)
        self._dispatcher.attempts.settled(waiting, job)
        return True

    async def _known(self, waiting: Waiting, job: Job | None) -> tuple[Job | None, list[str]]:
        """A job as it is in the store, and the names of what its run has kept."""
        found = job or await self._surely(lambda: self._ledger.read(waiting.queue, waiting.id))
        if found is None or not found.begun:
            return found, []
        return found, await self._surely(lambda: self._ledger.kept(found))


def _still_waits(waiting: Waiting) -> bool:
    return not waiting.running and not waiting.gone and not waiting.cancelled
