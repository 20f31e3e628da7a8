"""Feeds without a store behind them, and subscriptions that are about to be live."""

from __future__ import annotations

from typing import Any

from headwater.model import GroupKey, Subscriber
from headwater.protocol.clients.wire import Wire, Wish
from headwater.streams.fanout.budgets import Budgets
from headwater.streams.fanout.feed import Feed
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.ring import RingBudget
from headwater.streams.fanout.snapshots import Snapshots
from headwater.streams.fanout.subscription import Subscription
from support.stream_changes import ROOM


class ByHand:
    """Notes who is to catch up; the test does it."""

    max_window = 1000

    def __init__(self) -> None:
        self.asked: list[Subscription] = []
        self.lagging: list[Feed] = []

    def catch_up(self, subscription: Subscription) -> None:
        self.asked.append(subscription)

    def forget(self, subscription: Subscription) -> None:
        pass

    def mend(self, feed: Feed) -> None:
        self.lagging.append(feed)


def feed_of(group: GroupKey = ROOM, *, ring_bytes: int = 100_000) -> Feed:
    """A feed whose subscriptions catch up by hand."""
    return Feed(
        1,
        group,
        Budgets(RingBudget(2**30, ring_bytes), Snapshots(2**30)),
        Pace(),
        ByHand(),
        lambda _feed: None,
    )


def asked_of(feed: Feed) -> list[Subscription]:
    """Who is to catch up."""
    assert isinstance(feed.recovery, ByHand)
    return feed.recovery.asked


def lagging_of(feed: Feed) -> list[Feed]:
    """Feeds for which the store is to be read."""
    assert isinstance(feed.recovery, ByHand)
    return feed.recovery.lagging


def catching_up(
    subscriber: Subscriber, wire: Wire, item: str | None = None, *, feed: Feed | None = None, **wished: Any
) -> Subscription:
    """A subscription whose catch-up is under way."""
    feed = feed or feed_of()
    subscription = Subscription(subscriber, wire, Wish(feed.group, item, **wished), feed)
    feed.subscriptions.add(subscription)
    subscription.resume()
    subscription.move("start")
    return subscription


def again(subscription: Subscription) -> None:
    """One that has fallen behind catches up."""
    if subscription.state == "behind":
        subscription.resume()
    subscription.move("start")
