"""Reads pages of the store for catch-ups, once for all who ask for the same. Knows the storage contract."""

from __future__ import annotations

import asyncio

from headwater.model import GroupKey
from headwater.storage.base import Page, Store
from headwater.streams.fanout.feed import Feed

_ReadKey = tuple[Feed, int, str | None]


class PageReader:
    """Reads pages of the store; those of one feed who ask for the same page at the same time share one read.

    Of one feed: what is committed between two feeds of a group passes neither, so a read that the first began
    may be older than anything that the second will hear of.
    """

    def __init__(self, store: Store, page_bytes: int) -> None:
        self._store = store
        self._page_bytes = page_bytes
        self._running: dict[_ReadKey, asyncio.Task[Page]] = {}

    @property
    def epoch(self) -> str:
        """The store's line of history."""
        return self._store.epoch

    async def read(self, feed: Feed, after: int, only: str | None) -> Page:
        """What changed after a version, as of now or a moment ago.

        :raises StoreUnavailable: the store cannot be read.
        """
        key = (feed, after, only)
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(self._read(key))
            self._running[key] = running
        # One waiter's end must not end the read of the others.
        return await asyncio.shield(running)

    async def window(self, group: GroupKey, before: int | None, limit: int) -> Page:
        """See Store.window."""
        return await self._store.window(group, before=before, limit=limit, limit_bytes=self._page_bytes)

    async def _read(self, key: _ReadKey) -> Page:
        feed, after, only = key
        try:
            return await self._store.read(feed.group, after=after, limit_bytes=self._page_bytes, only=only)
        finally:
            del self._running[key]
