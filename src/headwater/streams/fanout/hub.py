"""The hub: the map of feeds, and who is catching up. Owns no rule of its own about order; feeds and lanes do.

`publish` is where committed changes come in; `subscribe`, `unsubscribe`, `resume` are what connections call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from headwater.errors import HeadwaterError
from headwater.model import GroupKey, Signal, Subscriber
from headwater.protocol.clients.wire import Wire
from headwater.storage.base import Store
from headwater.streams.commits import Published
from headwater.streams.fanout.catchup import PageReader, catch_up, report
from headwater.streams.fanout.feed import Feed
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.subscription import Subscription
from headwater.streams.fanout.turns import Turns

log = logging.getLogger("headwater.streams")

RETRY_SECONDS = 1.0
"""How long a failed catch-up waits before the next try; doubled each time up to MAX_RETRY_SECONDS."""
MAX_RETRY_SECONDS = 30.0


class Hub:
    """All feeds of the process."""

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
        self._reader = PageReader(store, page_bytes)
        self._max_window = max_window
        self._ring_bytes = ring_bytes
        self._feeds: dict[GroupKey, Feed] = {}
        self._numbers = count(1) if numbers is None else numbers
        self._dirty: set[Feed] = set()
        self._withheld: set[Feed] = set()
        self._rollup = rollup
        self._turns = Turns()
        self.pace = Pace()
        """Of all that leaves by this hub."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def groups(self) -> list[GroupKey]:
        """The groups that somebody is subscribed to."""
        return list(self._feeds)

    def publish(self, published: Sequence[Published]) -> None:
        """Take a batch of committed changes and events, in order. They leave in one flush at the turn's
        end."""
        for one in published:
            feed = self._feeds.get(one.group)
            if feed is None:
                continue
            if isinstance(one, Signal):
                feed.event(one)
            else:
                for lost in feed.change(one):
                    self.resume(lost)
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

    def subscribe(
        self, subscriber: Subscriber, wire: Wire, group: GroupKey, item: str | None = None
    ) -> Subscription:
        """Begin a subscription from nothing; its catch-up starts at once."""
        subscription = Subscription(subscriber, wire, group, item)
        self.begin(subscription)
        return subscription

    def begin(self, subscription: Subscription) -> int:
        """Begin a subscription as it is, with its cursor; its catch-up starts at once, but sends nothing
        before the next loop turn. Answers the number of its feed."""
        group = subscription.group
        if subscription.limit is not None:
            subscription.limit = min(subscription.limit, self._max_window)
            subscription.older = min(subscription.older, self._max_window)
        feed = self._feeds.get(group)
        if feed is None:
            feed = self._feeds[group] = Feed(
                next(self._numbers),
                group,
                self._ring_bytes,
                self.pace,
                rollup=self._rollup(group.stream),
            )
        feed.subscriptions.add(subscription)
        self.resume(subscription)
        return feed.number

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription. No frame is offered for it after this."""
        subscription.closed = True
        self._turns.forget(subscription)
        feed = self._feeds.get(subscription.group)
        if feed is None:
            return
        feed.remove(subscription)
        if not feed.subscriptions:
            del self._feeds[subscription.group]

    def restart(self, subscription: Subscription) -> None:
        """Start a subscription over, as if it had just been made: the client asked for it again."""
        feed = self._feeds.get(subscription.group)
        if subscription.closed or feed is None:
            return
        feed.remove(subscription)
        feed.subscriptions.add(subscription)
        subscription.fall_behind(0)
        if subscription.working:
            subscription.again = True
        else:
            self.resume(subscription)

    def filled(self, subscription: Subscription) -> None:
        """A subscriber is full: its subscription gets nothing until it is resumed."""
        feed = self._feeds.get(subscription.group)
        if feed is not None and subscription.live:
            feed.filled(subscription)

    def shares(self, subscription: Subscription) -> None:
        """A subscription shares its frames with siblings from now on."""
        feed = self._feeds.get(subscription.group)
        if feed is not None and subscription.live:
            feed.shares(subscription)

    def more(self, subscription: Subscription, limit: int) -> None:
        """Extend a subscription's window by older items. It is behind until it has them."""
        subscription.older = min(subscription.older + limit, self._max_window)
        feed = self._feeds.get(subscription.group)
        if feed is not None and subscription.live:
            feed.set_behind(subscription)
            self.resume(subscription)

    def resume(self, subscription: Subscription) -> None:
        """Let a subscription that is behind catch up, unless it is at it already: its subscriber can take
        more."""
        if subscription.live:
            feed = self._feeds.get(subscription.group)
            if feed is not None:
                feed.drained(subscription)
        if subscription.live or subscription.working or subscription.closed:
            return
        subscription.working = True
        if self._turns.take(subscription):
            self._start(subscription)

    def _start(self, subscription: Subscription) -> None:
        task = asyncio.get_running_loop().create_task(self._catch_up(subscription))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _catch_up(self, subscription: Subscription) -> None:
        feed = self._feeds.get(subscription.group)
        subscription.again = False
        try:
            if feed is not None and not subscription.closed:
                await catch_up(subscription, feed, self._reader, self.resume)
            subscription.retry = 0
        except HeadwaterError as error:
            report(subscription, error)
            self._retry_later(subscription)
        except Exception:
            log.exception("A catch-up of %s broke", subscription.group)
            self._retry_later(subscription)
        finally:
            subscription.working = False
            following = self._turns.pass_on(subscription)
            if following is not None:
                self._start(following)
        if subscription.again:
            subscription.again = False
            self.restart(subscription)
        elif subscription.older and subscription.live:
            self.more(subscription, 0)  # Asked for while this catch-up was past that point.

    def _retry_later(self, subscription: Subscription) -> None:
        delay = min(RETRY_SECONDS * 2**subscription.retry, MAX_RETRY_SECONDS)
        subscription.retry += 1
        asyncio.get_running_loop().call_later(delay, self.resume, subscription)

    async def close(self) -> None:
        """Stop all catch-ups."""
        self._turns.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
