"""Realms: a store and all that leads from it to subscribers, once for what lasts and once for what does not.

The durable realm holds the project's streams. The fleeting one is in memory, with an epoch of its own that
ends with the process: presence lives there. To a subscriber both are just streams; the catalog says which
stream is in which realm.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from headwater.clock import Clock, DoubtingClock, Stamps
from headwater.config import Settings
from headwater.observe import SILENT, Observer
from headwater.storage.base import Store
from headwater.streams.catalog import Catalog
from headwater.streams.commits import CommitQueue, Published
from headwater.streams.expiry import Expiry
from headwater.streams.fanout.budgets import Budgets
from headwater.streams.fanout.hub import Hub

_FEED_NUMBERS = count(1)
"""Feeds of all realms are numbered together: a socket has subscriptions in both."""


class Realm:
    """One store, its hub and its commit queue."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        stamps: Stamps,
        settings: Settings,
        clock: Clock,
        observer: Observer = SILENT,
        *,
        budgets: Budgets | None = None,
    ) -> None:
        """`budgets` is what feeds may hold in memory, where it is shared with other realms."""
        self.store = store
        streams = settings.streams
        self.hub = Hub(
            store,
            budgets=budgets or Budgets.of(streams, observer),
            page_bytes=streams.page_bytes,
            max_window=streams.max_window,
            rollup=catalog.rollup,
            numbers=_FEED_NUMBERS,
            observer=observer,
        )
        storage = settings.storage
        self.queue = CommitQueue(
            store,
            stamps,
            self._publish,
            max_pending_bytes=storage.max_pending_bytes,
            max_unit_writes=storage.max_unit_writes,
            max_unit_bytes=storage.max_unit_bytes,
            observer=observer,
        )
        self.expiry = Expiry(catalog, store, self.queue, DoubtingClock(clock))

    def _publish(self, published: Sequence[Published]) -> None:
        self.hub.publish(published)
        self.expiry.published(published)

    async def close(self) -> None:
        """Commit what was taken, and stop all catch-ups. The store stays open."""
        await self.queue.close()
        await self.hub.close()


class Realms:
    """Both realms; the stream's name decides."""

    def __init__(self, catalog: Catalog, durable: Realm, fleeting: Realm) -> None:
        self.catalog = catalog
        self.durable = durable
        self.fleeting = fleeting

    def of(self, stream: str) -> Realm:
        """The realm that a stream is in."""
        return self.durable if self.catalog.is_durable(stream) else self.fleeting

    def hub_of(self, stream: str) -> Hub:
        """The hub by which a stream is followed."""
        return self.of(stream).hub

    async def close(self) -> None:
        """Close both realms."""
        await self.durable.close()
        await self.fleeting.close()
