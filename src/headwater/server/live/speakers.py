"""Which of a socket's subscriptions speaks for which, so that each live frame is sent once. Pure, no I/O.

Among the subscriptions of one feed on one socket, the first to the whole group (no window) speaks for the
others: they stay silent while it is live.
"""

from __future__ import annotations

from headwater.model import GroupKey
from headwater.streams.fanout.subscription import Subscription


class Speakers:
    """The subscriptions of one socket, by group."""

    __slots__ = ("_among",)

    def __init__(self) -> None:
        self._among: dict[GroupKey, list[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """Take in a new subscription."""
        among = self._among.setdefault(subscription.group, [])
        subscription.whole = next((one for one in among if _is_whole(one) and one.whole is None), None)
        if _is_whole(subscription) and subscription.whole is None:
            for one in among:
                one.whole = subscription
        among.append(subscription)
        if subscription.wire.resumes:
            subscription.siblings = among

    def remove(self, subscription: Subscription) -> None:
        """Forget an ended subscription; if it spoke for others, the next one to the whole group does now."""
        among = self._among.get(subscription.group, [])
        if subscription not in among:
            return
        among.remove(subscription)
        if not among:
            del self._among[subscription.group]
        elif _is_whole(subscription) and subscription.whole is None:
            heir = next((one for one in among if _is_whole(one)), None)
            for one in among:
                one.whole = None if one is heir else heir


def _is_whole(subscription: Subscription) -> bool:
    """Whether it is sent every change of its group: a window is not."""
    return subscription.item is None and subscription.limit is None
