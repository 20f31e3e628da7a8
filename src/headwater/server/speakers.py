"""Which of a socket's subscriptions speaks for which, so that each live frame is sent once. Pure, no I/O.

Among the subscriptions of one feed on one socket, the first to the whole group speaks for the others: they
stay silent while it is live.
"""

from __future__ import annotations

from headwater.model import GroupKey
from headwater.streams.subscription import Subscription


class Speakers:
    """The subscriptions of one socket, by group."""

    __slots__ = ("_among",)

    def __init__(self) -> None:
        self._among: dict[GroupKey, list[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """Take in a new subscription."""
        among = self._among.setdefault(subscription.group, [])
        subscription.whole = next((one for one in among if one.item is None and one.whole is None), None)
        if subscription.item is None and subscription.whole is None:
            for one in among:
                one.whole = subscription
        among.append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Forget an ended subscription; if it spoke for others, the next one to the whole group does now."""
        among = self._among.get(subscription.group, [])
        if subscription not in among:
            return
        among.remove(subscription)
        if not among:
            del self._among[subscription.group]
        elif subscription.item is None and subscription.whole is None:
            heir = next((one for one in among if one.item is None), None)
            for one in among:
                one.whole = None if one is heir else heir
