"""A socket's subscriptions, once they have begun: they learn here that it is full, has drained or has ended,
and which of them speaks for which, so that each live frame is sent once. Pure, no I/O.

Of the subscriptions to one group on one socket:

- the first to the whole group (no window) speaks for all others: they get its frames while it is live;
- where none is to the whole group, each speaks for itself;
- when the speaker ends, the next one to the whole group speaks, if there is one.
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
        among = self._among.setdefault(subscription.wish.group, [])
        subscription.speaker = next((one for one in among if _is_speaker(one)), None)
        if _is_speaker(subscription):
            for one in among:
                one.speaker = subscription
        among.append(subscription)
        if subscription.wire.resumes:
            subscription.siblings = among
            for one in among:
                one.has_sibling()

    def remove(self, subscription: Subscription) -> None:
        """Forget an ended subscription."""
        among = self._among.get(subscription.wish.group, [])
        if subscription not in among:
            return
        among.remove(subscription)
        if not among:
            del self._among[subscription.wish.group]
        elif _is_speaker(subscription):
            heir = next((one for one in among if _is_whole(one)), None)
            for one in among:
                one.speaker = None if one is heir else heir

    def filled(self) -> None:
        """The socket takes nothing now."""
        for subscription in self._all():
            subscription.filled()

    def drained(self) -> None:
        """The socket takes frames again: let everything that fell behind catch up."""
        for subscription in self._all():
            subscription.resume()

    def end(self) -> None:
        """The socket is ending, and with it all of them."""
        ending = self._all()
        self._among = {}
        for subscription in ending:
            subscription.end()

    def _all(self) -> list[Subscription]:
        """A list of its own, for what they are told may end some of them."""
        return [one for among in self._among.values() for one in among]


def _is_speaker(subscription: Subscription) -> bool:
    return _is_whole(subscription) and subscription.speaker is None


def _is_whole(subscription: Subscription) -> bool:
    """Whether it is sent every change of its group: a window is not."""
    return subscription.wish.item is None and subscription.wish.limit is None
