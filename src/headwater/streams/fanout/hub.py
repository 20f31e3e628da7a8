"""The hub: the map of feeds. Owns no rule of its own about order; feeds and lanes do.

`publish` is where committed changes come in; `subscribe` is what connections call, and from then on they
speak to the subscription.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from headwater.model import GroupKey, Signal, Subscriber
from headwater.protocol.clients.wire import Wire, Wish
from headwater.storage.base import Store
from headwater.streams.commits import Published
from headwater.streams.fanout.feed import Feed
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.recovery import Recovery
from headwater.streams.fanout.subscription import Subscription


class Hub:
    """All feeds of one store."""

    def __init__(
        self,
        store: Store,
        *,
        ring_bytes: int,
        page_bytes: int,
        max_window: int,
        rollup: Callable[[str], float] = lambda _stream: 0.0,
        numbers: Iterator[int] | None = None,
    ) -> None:
        """`rollup` answers a stream's, in seconds, for feeds that begin from then on. `numbers` name the
        feeds; hubs whose subscribers share a socket must share them."""
        self._recovery = Recovery(store, page_bytes=page_bytes, max_window=max_window)
        self._ring_bytes = ring_bytes
        self._feeds: dict[GroupKey, Feed] = {}
        self._numbers = count(1) if numbers is None else numbers
        self._dirty: set[Feed] = set()
        self._withheld: set[Feed] = set()
        self._rollup = rollup
        self.pace = Pace()
        """Of all that leaves by this hub."""

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
        subscription.resume()
        return subscription

    def _bounded(self, wish: Wish, feed: Feed) -> Wish:
        """A wish for no more than windows may be. It holds the feed's key: one for all who follow the
        group."""
        most = self._recovery.max_window
        brought = wish.brought
        return wish._replace(
            group=feed.group,
            limit=wish.limit and min(wish.limit, most),
            brought=brought and brought._replace(more=min(brought.more, most)),
        )

    def _begin(self, group: GroupKey) -> Feed:
        feed = self._feeds[group] = Feed(
            next(self._numbers),
            group,
            self._ring_bytes,
            self.pace,
            self._recovery,
            self._end,
            rollup=self._rollup(group.stream),
        )
        return feed

    def _end(self, feed: Feed) -> None:
        del self._feeds[feed.group]

    async def close(self) -> None:
        """Stop all catch-ups."""
        await self._recovery.close()
