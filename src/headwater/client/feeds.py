"""Which subscriptions of a client each feed of the server serves. Owns the numbers of feeds, which mean
nothing beyond one connection; knows no message."""

from __future__ import annotations

from headwater.client.subscription import Subscription


class Feeds:
    """The feeds of one connection that anything here follows."""

    def __init__(self) -> None:
        self._served: dict[int, list[Subscription]] = {}

    def __len__(self) -> int:
        return len(self._served)

    def join(self, subscription: Subscription, feed: int) -> None:
        """A subscription is served by this feed from now on."""
        subscription.feed = feed
        self._served.setdefault(feed, []).append(subscription)

    def leave(self, subscription: Subscription) -> None:
        """A subscription is served by none."""
        feed, subscription.feed = subscription.feed, None
        among = self._served.get(feed) if feed is not None else None
        if feed is not None and among is not None and subscription in among:
            among.remove(subscription)
            if not among:
                del self._served[feed]

    def of(self, feed: int) -> list[Subscription]:
        """Those that a feed serves: a copy, as what they hear may end them."""
        return list(self._served.get(feed, ()))

    def clear(self) -> None:
        """The connection is gone, and its feeds."""
        self._served.clear()
