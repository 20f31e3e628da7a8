"""The hub: the map of feeds. Owns no rule of its own about order; feeds and lanes do.

`publish` is where committed changes come in; `subscribe` is what connections call, and from then on they
speak to the subscription.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Signal, Subscriber
from headwater.observe import SILENT, Observer
from headwater.protocol.clients.wire import Wire, Wish
from headwater.storage.base import Store
from headwater.streams.commits import Published
from headwater.streams.fanout.budgets import Budgets
from headwater.streams.fanout.feed import Feed
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.recovery import Recovery
from headwater.streams.fanout.subscription import Subscription

log = logging.getLogger("headwater.streams")

COMPARED_AT_ONCE = 200
"""Groups in one question to the store: what comes meanwhile waits for about a millisecond."""


class Hub:
    """All feeds of one store."""

    def __init__(
        self,
        store: Store,
        *,
        budgets: Budgets,
        page_bytes: int,
        max_window: int,
        rollup: Callable[[str], float] = lambda _stream: 0.0,
        numbers: Iterator[int] | None = None,
        observer: Observer = SILENT,
    ) -> None:
        """`rollup` answers a stream's, in seconds, for feeds that begin from then on. `numbers` name the
        feeds; hubs whose subscribers share a socket must share them."""
        self._store = store
        self._recovery = Recovery(store, self._touch, page_bytes=page_bytes, max_window=max_window)
        self._budgets = budgets
        self._observer = observer
        self._feeds: dict[GroupKey, Feed] = {}
        self._numbers = count(1) if numbers is None else numbers
        self._dirty: set[Feed] = set()
        self._withheld: set[Feed] = set()
        self._rollup = rollup
        self.lost = asyncio.Event()
        """Set when the store says that notices may have been lost."""
        self.pace = Pace()
        """Of all that leaves by this hub."""
        store.listen(self._hear)

    @property
    def groups(self) -> list[GroupKey]:
        """The groups that somebody is subscribed to."""
        return list(self._feeds)

    def publish(self, published: Sequence[Published]) -> None:
        """Take a batch of committed changes and signals, in order. They leave in one flush at the turn's
        end."""
        for one in published:
            feed = self._feeds.get(one.group)
            if feed is None:
                continue
            if isinstance(one, Signal):
                feed.signal(one)
            else:
                feed.change(one)
            self._touch(feed)

    def _hear(self, changes: Sequence[Change]) -> None:
        """Changes were made elsewhere; an empty sequence tells that notices may have been lost."""
        try:
            self.publish(changes)
        except Exception:
            log.exception("Publishing %d notices failed", len(changes))  # Comparing sets it right.
        if not changes:
            self.lost.set()

    def _touch(self, feed: Feed) -> None:
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.add(feed)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        loop = asyncio.get_running_loop()
        now = loop.time()
        for feed in dirty:
            wait = feed.withheld(now)
            if not wait:
                feed.flush(now)
            elif feed not in self._withheld:
                self._withheld.add(feed)
                loop.call_later(wait, self._let_go, feed)

    def _let_go(self, feed: Feed) -> None:
        self._withheld.discard(feed)
        feed.flush(asyncio.get_running_loop().time())

    def subscribe(self, subscriber: Subscriber, wire: Wire, wish: Wish) -> Subscription:
        """Begin a subscription, from what its client has brought or from nothing. Its catch-up starts at
        once, but sends nothing before the next turn of the loop."""
        feed = self._feeds.get(wish.group)
        if feed is None:
            feed = self._begin(wish.group)
        subscription = Subscription(subscriber, wire, self._bounded(wish, feed), feed)
        feed.subscriptions.add(subscription)
        self._observer.subscribed(feed.group, wish.item)
        self._observer.behind(feed.group, "join")
        subscription.resume()
        return subscription

    def _bounded(self, wish: Wish, feed: Feed) -> Wish:
        """A wish for no more than windows may be. It holds the feed's key: one for all who follow the
        group."""
        most = self._recovery.max_window
        brought = wish.brought
        if (wish.limit or 0) > most or (brought is not None and brought.more > most):
            self._observer.limited("streams.max_window", most)
        return wish._replace(
            group=feed.group,
            limit=wish.limit and min(wish.limit, most),
            brought=brought and brought._replace(more=min(brought.more, most)),
        )

    def _begin(self, group: GroupKey) -> Feed:
        feed = self._feeds[group] = Feed(
            next(self._numbers),
            group,
            self._budgets,
            self.pace,
            self._recovery,
            self._end,
            rollup=self._rollup(group.stream),
            observer=self._observer,
        )
        self._store.follow([group])
        return feed

    def _end(self, feed: Feed) -> None:
        del self._feeds[feed.group]
        self._store.unfollow([feed.group])

    async def compare(self, *, certain: bool = False) -> None:
        """Compare what is followed with the store, some groups at a time, so that a notice that was lost is
        made up for, the last one too; see `Feed.compare`.

        :raises StoreUnavailable: the store cannot be read.
        """
        groups = self.groups
        for first in range(0, len(groups), COMPARED_AT_ONCE):
            some = groups[first : first + COMPARED_AT_ONCE]
            for group, head in zip(some, await self._store.heads(some), strict=True):
                feed = self._feeds.get(group)
                if feed is not None:
                    feed.compare(head.version, certain=certain)

    async def keep_comparing(self, interval: float) -> None:
        """Compare every `interval` seconds, and at once when the store says that notices were lost, until
        cancelled. An interval of 0 compares only then."""
        while True:
            try:
                await asyncio.wait_for(self.lost.wait(), interval or None)
            except TimeoutError:
                pass
            certain = self.lost.is_set()
            self.lost.clear()
            try:
                await self.compare(certain=certain)
            except HeadwaterError as error:
                log.warning("What is followed could not be compared with the store: %s", error.message)

    async def close(self) -> None:
        """Stop all catch-ups."""
        await self._recovery.close()
