"""What goes by itself: items whose time has come, and what a stream keeps no longer. Every such delete has a
version.

Owns when to look. An item is deleted only while it still has the version that expired, so a write that comes
in between wins. Knows the store and the commit queue; waits on no clock of its own but the loop's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from headwater.clock import Clock
from headwater.errors import Conflict, HeadwaterError
from headwater.model import Change, GroupKey, Origin, Unit, Write
from headwater.storage.base import Store
from headwater.streams.catalog import Catalog
from headwater.streams.commits import CommitQueue, Published

log = logging.getLogger("headwater.streams")

EVERY_SECONDS = 1.0
"""How often expiry is looked for: a due item is gone within about a second."""
AT_ONCE = 1000
"""Deletes in one go, so that a million due items do not hold up the writes of others."""

UNIT_WRITES = 100
"""Of those, deletes in one unit."""

PAGE_BYTES = 1024 * 1024
"""One read of items, whose data is not even looked at."""

ORIGIN = Origin("expiry", "")


class _Doomed(NamedTuple):
    """An item that is to go, if it is still at this version."""

    group: GroupKey
    item: str
    version: int


class Expiry:
    """Deletes what is due, and trims groups of streams that keep only the newest items."""

    def __init__(self, catalog: Catalog, store: Store, queue: CommitQueue, clock: Clock) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._clock = clock
        self._grown: set[GroupKey] = set()

    def published(self, published: Sequence[Published]) -> None:
        """Hear of what was committed: a group that grew may have to be trimmed."""
        for one in published:
            if isinstance(one, Change) and one.kind == "create" and self._keep(one.group.stream) is not None:
                self._grown.add(one.group)

    async def settle(self) -> None:
        """Delete all that is due now, also what came due while no server ran.

        :raises StoreUnavailable: the store cannot be read or written.
        """
        for rules in self._catalog:
            if rules.keep_newest is not None:
                await self._look_at(rules.name)
        await self.once()

    async def once(self) -> None:
        """Delete what is due now and trim what has grown.

        :raises StoreUnavailable: the store cannot be read or written.
        """
        while due := await self._store.due(now=self._clock.now(), limit=AT_ONCE):
            await self._delete([_Doomed(one.group, one.id, one.version) for one in due])
        for group in list(self._grown):
            self._grown.discard(group)
            try:
                await self._trim(group)
            except HeadwaterError:
                self._grown.add(group)
                raise

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.once()
            except HeadwaterError as error:
                log.warning("Deleting what is due failed and is tried again: %s", error.message)

    def _keep(self, stream: str) -> int | None:
        rules = self._catalog.get(stream)
        return rules.keep_newest if rules is not None else None

    async def _look_at(self, stream: str) -> None:
        """Note all groups of a stream: what it keeps may have changed since they were trimmed."""
        after = ""
        while groups := await self._store.groups(stream, after=after):
            self._grown.update(GroupKey(stream, one.group) for one in groups)
            after = groups[-1].group

    async def _trim(self, group: GroupKey) -> None:
        keep = self._keep(group.stream)
        if keep is None:
            return
        below = await self._floor(group, keep)
        while below:
            older = await self._store.window(group, before=below, limit=AT_ONCE, limit_bytes=PAGE_BYTES)
            if not older.items:
                return
            await self._delete([_Doomed(group, item.id, item.version) for item in older.items])

    async def _floor(self, group: GroupKey, keep: int) -> int:
        """The creating version of the oldest item to be kept; 0 where nothing is older."""
        before = None
        while True:
            page = await self._store.window(group, before=before, limit=keep, limit_bytes=PAGE_BYTES)
            if page.complete:
                return 0
            before = page.items[0].created
            keep -= len(page.items)
            if not keep:
                return before

    async def _delete(self, doomed: list[_Doomed]) -> None:
        """Delete each while it still has that version; one that was written meanwhile lives on.

        Some go in one unit, which costs less than each alone; where one lives on, those of its unit go one by
        one.
        """
        writes = [
            Write(one.group, one.item, "delete", if_version=one.version, origin=ORIGIN) for one in doomed
        ]
        units = [writes[at : at + UNIT_WRITES] for at in range(0, len(writes), UNIT_WRITES)]
        again: list[Write] = []
        outcomes = await self._outcomes([self._queue.add_unit(Unit(unit)) for unit in units])
        for unit, refusal in zip(units, outcomes, strict=True):
            again += unit if refusal is not None else ()
        await self._outcomes([self._queue.add(write) for write in again])

    @staticmethod
    async def _outcomes(begun: Sequence[asyncio.Future[Any]]) -> list[Conflict | None]:
        """What refused each; anything but a conflict is raised, once all have ended."""
        outcomes = await asyncio.gather(*begun, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Conflict):
                raise outcome
        return [outcome if isinstance(outcome, Conflict) else None for outcome in outcomes]
