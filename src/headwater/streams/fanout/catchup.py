"""Catching up: the only way from behind to live. Owns the loop of reading, sending and joining.

Everything that goes wrong sets a subscription behind, and this brings it back: a join, a slow client that has
drained, a lost notice, a store that failed and works again. There is no other repair path. Knows the storage
contract and feeds; no socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from headwater.errors import HeadwaterError
from headwater.model import GroupKey
from headwater.protocol.clients.wire import CatchUpEncoder, Stretch
from headwater.storage.base import Page, Store
from headwater.streams.fanout.feed import Feed, Joined
from headwater.streams.fanout.subscription import Subscription

log = logging.getLogger("headwater.streams")

AHEAD_SECONDS = 10.0
"""How long a notice may take that the store was read ahead of. It is in this process already, as the answer
of the commit under way; one that takes longer is lost, and the feed is set right without it."""

Resume = Callable[[Subscription], None]

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


async def catch_up(subscription: Subscription, feed: Feed, reader: PageReader, resume: Resume) -> None:
    """Bring a subscription from behind to live.

    Returns early when it was closed or its subscriber is full: it stays behind then, and whoever drains it
    asks again. Where the feed turns out to lag behind the store, its live subscriptions are set behind and
    given to `resume`.

    :raises StoreUnavailable: the store cannot be read.
    """
    if subscription.subscriber.is_full:
        return
    encoder = subscription.wire.catch_up(subscription)
    subscription.reading = subscription.cursor
    if subscription.epoch not in (None, reader.epoch) and not _start_over(subscription, encoder, "epoch"):
        return
    subscription.epoch = None
    if not await _fill_window(subscription, encoder, reader):
        return
    if feed.covers(subscription.cursor):
        here = Stretch((), (), subscription.cursor, max(feed.head or 0, subscription.seen))
        encoder.stretch(here)
        if await _join(subscription, feed, encoder, here, resume) != "uncovered":
            return
    while not subscription.closed:
        page = await reader.read(feed, subscription.reading, subscription.item)
        if subscription.closed:
            return
        known = subscription.begun if subscription.reading else page.head.version
        subscription.begun = min(known, page.head.version)  # A read that is shared may be the older one.
        reason = _discontinuity(subscription.reading, subscription.begun, page)
        if reason:
            restarted = _start_over(subscription, encoder, reason)
            if not restarted or not await _fill_window(subscription, encoder, reader):
                return
            continue
        subscription.seen = max(subscription.seen, page.head.version)
        stretch = Stretch(page.items, page.tombstones, page.through, subscription.seen)
        frames = encoder.stretch(stretch)
        if frames and not subscription.subscriber.offer(frames):
            return
        subscription.advance(page.through)
        if not page.complete:
            continue
        if feed.head is not None and page.head.floor > feed.head:
            _set_right(feed, page.head.floor, resume)
        if await _join(subscription, feed, encoder, stretch, resume) != "uncovered":
            return


async def _fill_window(subscription: Subscription, encoder: CatchUpEncoder, reader: PageReader) -> bool:
    """Send the newest items to a window that holds nothing, and older ones that were asked for, page by page.
    What happened since they were read follows like any catch-up. False when the subscriber is full, or gone.

    :raises StoreUnavailable: the store cannot be read.
    """
    if subscription.limit is not None and not subscription.cursor:
        subscription.floor = 0
        page = await reader.window(subscription.group, None, subscription.limit)
        floor = 0 if page.complete else page.items[0].created
        frames = encoder.stretch(Stretch(page.items, (), page.through, page.head.version))
        if subscription.closed or (frames and not subscription.subscriber.offer(frames)):
            return False
        subscription.floor, subscription.older = floor, subscription.limit - len(page.items)
        subscription.advance(page.through)
    while subscription.older and subscription.floor:
        page = await reader.window(subscription.group, subscription.floor, subscription.older)
        frames = encoder.older(Stretch(page.items, (), subscription.cursor, page.head.version))
        if subscription.closed or (frames and not subscription.subscriber.offer(frames)):
            return False
        subscription.floor = 0 if page.complete else page.items[0].created
        subscription.seen = page.through
        subscription.older -= len(page.items)
    subscription.older = 0
    return True


def _discontinuity(after: int, begun: int, page: Page) -> str:
    """Why a page does not continue what the client holds, in the words of WIRE.md; empty when it does.

    `begun` is Subscription.begun: who reads slowly takes a snapshot in several catch-ups, and may be below
    the floor all the while.
    """
    if after > page.head.version:
        return "ahead"
    return "expired" if after and page.head.floor > max(after, begun) else ""


def _start_over(subscription: Subscription, encoder: CatchUpEncoder, reason: str) -> bool:
    """Tell the client to drop what it holds. False when its subscriber is full."""
    frames = encoder.reset(reason)
    if frames and not subscription.subscriber.offer(frames):
        return False
    subscription.cursor = subscription.reading = subscription.floor = subscription.seen = 0
    return True


def _set_right(feed: Feed, known: int, resume: Resume) -> None:
    """Let a feed begin anew from the store, which has reached `known`. What the feed lacks is gone, or
    no notice told of it: a group that was forgotten goes on from the store's base, without a change."""
    for lost in feed.lose(known):
        resume(lost)


async def _join(
    subscription: Subscription, feed: Feed, encoder: CatchUpEncoder, stretch: Stretch, resume: Resume
) -> Joined:
    """Join, waiting for notices that the read was ahead of."""
    joined = feed.join(subscription, encoder, stretch)
    while joined == "ahead":
        try:
            await asyncio.wait_for(feed.advanced(subscription.wire), AHEAD_SECONDS)
        except TimeoutError:
            log.warning("%s was read ahead of what was reported; its feed begins anew", feed.group)
            _set_right(feed, stretch.head, resume)
        if subscription.closed:
            break
        joined = feed.join(subscription, encoder, stretch)
    return joined


def report(subscription: Subscription, error: HeadwaterError) -> None:
    """Tell the subscriber and the log that a catch-up failed for now."""
    log.warning("A catch-up of %s failed: %s", subscription.group, error.message)
    subscription.subscriber.offer(subscription.wire.error(subscription, error))
