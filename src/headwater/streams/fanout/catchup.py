"""Catching up: the only way from behind to live. Owns the loop of reading, sending and joining.

Everything that goes wrong sets a subscription behind, and this brings it back: a join, a slow client that has
drained, a lost notice, a store that failed and works again. There is no other repair path. Knows the storage
contract and feeds; no socket.
"""

from __future__ import annotations

import asyncio
import logging

from headwater.errors import HeadwaterError
from headwater.protocol.clients.wire import CatchUpEncoder, Stretch
from headwater.storage.base import ENTRY_BYTES, Page
from headwater.streams.fanout.feed import Joined
from headwater.streams.fanout.pages import PageReader
from headwater.streams.fanout.subscription import Lag, Subscription

log = logging.getLogger("headwater.streams")

AHEAD_SECONDS = 1.0
"""How long a notice may take that the store was read ahead of. It is in this process already, as the answer
of the commit under way, or on its way from another; one that takes longer is lost for all that is known, and
the store is read for the whole feed."""


async def catch_up(subscription: Subscription, lag: Lag, reader: PageReader) -> None:
    """Bring a subscription from behind to live.

    What may happen on the way:

    - its subscriber is full: it stays where it is, and whoever drains it asks again;
    - it is ended: nothing more is offered;
    - what the client brought cannot be continued (`reset`): another epoch, a cursor ahead of the store, or
      below the deletes that are remembered. It starts over from nothing;
    - it is a window: its newest items are read first, then older ones that were asked for, then what changed
      since like anything else;
    - the feed's ring covers what is missing: it joins at once, without a read;
    - its wire cannot resume: it waits until there is memory for a whole group, or gets the frame that another
      one got; what it has read may have to be given up for those who came first (`snapshots.py`);
    - else pages are read and sent until one is complete, and it joins. Where more happened since than the
      ring holds, it reads on.

    :raises StoreUnavailable: the store cannot be read.
    """
    if subscription.subscriber.is_full:
        return
    if subscription.wire.resumes:
        await _catch_up(subscription, lag, reader)
        return
    snapshots = subscription.feed.snapshots
    if subscription.feed.join_whole(subscription) != "uncovered":
        return
    await snapshots.begin(subscription)
    try:
        if not _is_over(subscription) and subscription.feed.join_whole(subscription) == "uncovered":
            await _catch_up(subscription, lag, reader)
    finally:
        snapshots.end(subscription)


async def _catch_up(subscription: Subscription, lag: Lag, reader: PageReader) -> None:
    feed = subscription.feed
    encoder = subscription.wire.catch_up(subscription)
    lag.read_through = lag.cursor
    if lag.epoch not in (None, reader.epoch) and not _start_over(subscription, lag, encoder, "epoch"):
        return
    lag.epoch = None
    if not await _fill_window(subscription, lag, encoder, reader):
        return
    if feed.covers(lag.cursor):
        here = Stretch((), (), lag.cursor, max(feed.head or 0, lag.newest_read))
        encoder.stretch(here)
        if await _join(subscription, encoder, here) != "uncovered":
            return
    while not _is_over(subscription):
        page = await reader.read(feed, lag.read_through, subscription.wish.item)
        if _is_over(subscription):
            return
        known = lag.first_read if lag.read_through else page.head.version
        lag.first_read = min(known, page.head.version)  # A read that is shared may be the older one.
        reason = _discontinuity(lag.read_through, lag.first_read, page)
        if reason:
            restarted = _start_over(subscription, lag, encoder, reason)
            if not restarted or not await _fill_window(subscription, lag, encoder, reader):
                return
            continue
        if not subscription.wire.resumes and not feed.snapshots.grow(subscription, _size(page)):
            _start_over(subscription, lag, encoder, "lost")
            await feed.snapshots.begin(subscription)
            continue
        stretch = _send(subscription, lag, encoder, page)
        if stretch is None:
            return
        if not page.complete:
            continue
        if lag.older:  # Asked for meanwhile.
            if not await _fill_window(subscription, lag, encoder, reader):
                return
            continue
        if feed.head is not None and page.head.floor > feed.head:
            feed.begin_anew(page.head.floor)
        if await _join(subscription, encoder, stretch) != "uncovered":
            return


def _size(page: Page) -> int:
    return sum(len(item.data) for item in page.items) + ENTRY_BYTES * len(page.items)


def _is_over(subscription: Subscription) -> bool:
    return subscription.state == "closed"


def _send(subscription: Subscription, lag: Lag, encoder: CatchUpEncoder, page: Page) -> Stretch | None:
    """Send a page and move on behind it. None when the subscriber is full."""
    lag.newest_read = max(lag.newest_read, page.head.version)
    stretch = Stretch(page.items, page.tombstones, page.through, lag.newest_read)
    frames = encoder.stretch(stretch)
    if frames and not subscription.subscriber.offer(frames):
        return None
    _advance(subscription, lag, page.through)
    return stretch


def _advance(subscription: Subscription, lag: Lag, through: int) -> None:
    """What changed up to `through` was sent; or where the wire cannot resume, taken in."""
    lag.read_through = through
    if subscription.wire.resumes:
        lag.cursor = through


async def _fill_window(
    subscription: Subscription, lag: Lag, encoder: CatchUpEncoder, reader: PageReader
) -> bool:
    """Send the newest items to a window that holds nothing, and older ones that were asked for, page by page.
    What happened since they were read follows like any catch-up. False when the subscriber is full, or gone.

    :raises StoreUnavailable: the store cannot be read.
    """
    wish = subscription.wish
    if wish.limit is not None and not lag.cursor:
        subscription.floor = 0
        page = await reader.window(wish.group, None, wish.limit)
        floor = 0 if page.complete else page.items[0].created
        frames = encoder.stretch(Stretch(page.items, (), page.through, page.head.version))
        if _is_over(subscription) or (frames and not subscription.subscriber.offer(frames)):
            return False
        subscription.floor, lag.older = floor, wish.limit - len(page.items)
        _advance(subscription, lag, page.through)
    while lag.older and subscription.floor:
        page = await reader.window(wish.group, subscription.floor, lag.older)
        frames = encoder.older(Stretch(page.items, (), lag.cursor, page.head.version))
        if _is_over(subscription) or (frames and not subscription.subscriber.offer(frames)):
            return False
        subscription.floor = 0 if page.complete else page.items[0].created
        lag.newest_read = page.through
        lag.older -= len(page.items)
    lag.older = 0
    return True


def _discontinuity(after: int, first_read: int, page: Page) -> str:
    """Why a page does not continue what the client holds, in the words of WIRE.md; empty when it does.

    `first_read` is Lag.first_read: who reads slowly takes a snapshot in several catch-ups, and may be below
    the floor all the while.
    """
    if after > page.head.version:
        return "ahead"
    return "expired" if after and page.head.floor > max(after, first_read) else ""


def _start_over(subscription: Subscription, lag: Lag, encoder: CatchUpEncoder, reason: str) -> bool:
    """Tell the client to drop what it holds. False when its subscriber is full."""
    frames = encoder.reset(reason)
    if frames and not subscription.subscriber.offer(frames):
        return False
    lag.cursor = lag.read_through = lag.newest_read = subscription.floor = 0
    return True


async def _join(subscription: Subscription, encoder: CatchUpEncoder, stretch: Stretch) -> Joined:
    """Join, waiting for notices that the read was ahead of."""
    feed = subscription.feed
    joined = feed.join(subscription, encoder, stretch)
    while joined == "ahead":
        try:
            await asyncio.wait_for(feed.advanced(subscription.wire), AHEAD_SECONDS)
        except TimeoutError:
            log.warning("%s was read ahead of what was reported", feed.group)
            feed.note(stretch.head)
        if _is_over(subscription):
            break
        joined = feed.join(subscription, encoder, stretch)
    return joined


def report(subscription: Subscription, error: HeadwaterError) -> None:
    """Tell the subscriber and the log that a catch-up failed for now."""
    log.warning("A catch-up of %s failed: %s", subscription.wish.group, error.message)
    subscription.subscriber.offer(subscription.wire.error(subscription, error))
