"""Runs: what an attempt at a job may say of itself while it runs, and how others stop it.

A run is a job while user code works on it: it keeps results that a later attempt need not make again, and
claims the items that it writes, so that whoever sees one can stop it. What an attempt that is over still says
is refused with RUN_LOST: another may be at work by then. Knows the dispatcher; no worker and no client.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from typing import Any

from headwater.config import WorkSettings
from headwater.errors import HeadwaterError, InvalidInput, RunLost, RunUnknown, TooLarge, TooMany
from headwater.model import GroupKey
from headwater.streams.commits import answered, refused
from headwater.work.attempt import Attempt
from headwater.work.dispatcher import Dispatcher
from headwater.work.job import Place
from headwater.work.ledger import Ledger

MOST_OWNED = 16
"""Items that one run may claim."""


class Runs:
    """The runs under way."""

    def __init__(self, dispatcher: Dispatcher, ledger: Ledger, settings: WorkSettings) -> None:
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._settings = settings

    async def kept(self, run: str, name: str) -> bytes | None:
        """What a run has kept under a name, as the JSON text of `{"id", "value"}`; None for nothing.

        :raises StoreUnavailable: the store cannot be read.
        """
        return await self._ledger.kept_value(run, name)

    def keep(self, run: str, attempt: int, name: str, value: bytes) -> Future[Any]:
        """Keep a value, as JSON text, for the later attempts of a run. It has begun when this returns.

        The future raises RunLost where that attempt is over, TooLarge, TooMany or StoreUnavailable.
        """
        try:
            current = self._current(run, attempt)
            limit = self._settings.max_kept_bytes
            if len(value) > limit:
                raise TooLarge(
                    f'The result of "{name}" has {len(value)} bytes; a run keeps at most {limit} of one.',
                    hint="Keep it in a stream or the state and give its id, or raise [work] max_kept_bytes.",
                    size=len(value),
                    limit=limit,
                ).at("work.max_kept_bytes", limit)
            most = self._settings.max_kept_steps
            if name not in current.kept and len(current.kept) >= most:
                raise TooMany(
                    f"A run keeps the results of at most {most} steps.",
                    hint="Keep what several of them give together, or raise [work] max_kept_steps.",
                    limit=most,
                ).at("work.max_kept_steps", most)
        except HeadwaterError as error:
            return refused(error)
        current.kept.add(name)
        return self._ledger.keep_value(current.job, name, value)

    def own(self, run: str, attempt: int, place: Place) -> Future[Any]:
        """Claim an item for a run: whoever may read it may stop the run by it. Several runs may claim one, as
        the two steps do that write into one answer; each is stopped then.

        The future raises RunLost, TooMany or StoreUnavailable.
        """
        try:
            current = self._current(run, attempt)
            if place in current.job.owns:
                return answered(None)
            if len(current.job.owns) >= MOST_OWNED:
                raise TooMany(f"A run claims at most {MOST_OWNED} items.", limit=MOST_OWNED)
        except HeadwaterError as error:
            return refused(error)
        current.job = current.job._replace(owns=(*current.job.owns, place))
        self._dispatcher.attempts.claim(run, place)
        return self._ledger.rewrite(current.job)

    async def cancel(self, run: str) -> None:
        """Stop a run.

        :raises RunUnknown: there is none of that id that has not ended.
        """
        if not await self._dispatcher.cancel(run):
            raise RunUnknown(f"There is no run {run[:100]!r} that has not ended.", run=run[:100])

    async def cancel_item(self, group: GroupKey, item: str) -> None:
        """Stop the runs that have claimed an item.

        :raises RunUnknown: none has, or they have ended.
        :raises StoreUnavailable: the store cannot be read or written; some may be stopped.
        """
        runs = self._dispatcher.attempts.owned.get(Place(*group, item), ())
        stopped = await asyncio.gather(*map(self._dispatcher.cancel, runs))
        if not any(stopped):
            raise RunUnknown(
                "No run that has not ended has claimed this item.",
                group=group.group,
                id=item,
                stream=group.stream,
            )

    def _current(self, run: str, attempt: int) -> Attempt:
        if not run:
            raise InvalidInput(
                "Only event and cron steps have a run.", hint="Emit an event, and do the work in its step."
            )
        current = self._dispatcher.attempts.under_way.get(run)
        if current is None or current.job.attempts != attempt:
            raise RunLost("This attempt at the run is over; what it still does has no effect.", run=run)
        return current
