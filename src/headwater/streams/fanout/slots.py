"""How many catch-ups of one subscriber run at once. Pure, no I/O.

A client may join a thousand groups in one go, or drain after it fell behind in as many. Reading them all at
once would hold all their items in memory, for a socket that takes a few and then is full. The others wait
their turn; those of different subscribers do not wait for each other.
"""

from __future__ import annotations

from headwater.model import Subscriber
from headwater.streams.fanout.subscription import Subscription

MOST_AT_ONCE = 8
"""Enough that a page with a handful of subscriptions never waits."""


class Slots:
    """Who is catching up and who waits for it, by subscriber. Subscribers that do neither leave no trace."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._running: dict[Subscriber, int] = {}
        self._waiting: dict[Subscriber, dict[Subscription, None]] = {}

    def take(self, subscription: Subscription) -> bool:
        """Whether a catch-up may begin; else it waits, and `pass_on` will name it."""
        subscriber = subscription.subscriber
        running = self._running.get(subscriber, 0)
        if running < self._most:
            self._running[subscriber] = running + 1
            return True
        self._waiting.setdefault(subscriber, {})[subscription] = None
        return False

    def forget(self, subscription: Subscription) -> None:
        """A subscription ended; if it waits, it does so no longer."""
        waiting = self._waiting.get(subscription.subscriber)
        if waiting is not None:
            waiting.pop(subscription, None)

    def pass_on(self, subscription: Subscription) -> Subscription | None:
        """A catch-up has ended: the one that has its turn now, first come, first served."""
        subscriber = subscription.subscriber
        waiting = self._waiting.get(subscriber)
        if waiting:
            following = next(iter(waiting))
            del waiting[following]
            return following
        self._waiting.pop(subscriber, None)
        running = self._running.pop(subscriber) - 1
        if running:
            self._running[subscriber] = running
        return None

    def clear(self) -> None:
        """Let nobody wait any more."""
        self._waiting.clear()
