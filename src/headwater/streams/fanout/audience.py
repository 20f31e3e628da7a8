"""Who is live in a lane, sorted by how frames reach them. Owns the sorting; sends nothing.

Most subscribers follow a group, or a window of it, and say themselves when they are full: those are *direct*,
and their outlets lie side by side in one list, so that a flush touches nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from headwater.model import Outlet
from headwater.streams.fanout.subscription import Subscription

Room = dict[Subscription, None]
"""Subscriptions in the order in which they came."""


class Direct(NamedTuple):
    """The direct ones as of one moment: each subscription, and its outlet at the same place. What was created
    at `floor` or later is within all their windows."""

    subscriptions: list[Subscription]
    outlets: list[Outlet]
    floor: int


class Audience:
    """The live subscriptions of one lane."""

    __slots__ = ("_direct", "_fixed", "full", "items", "room", "size")

    def __init__(self) -> None:
        self.size = 0
        self._direct: dict[Subscription, Outlet] = {}
        self._fixed: Direct | None = None
        self.full: set[Subscription] = set()
        """Direct ones that have said so since they were last sent anything."""
        self.room: Room = {}
        """Those who want every frame too, but to be asked."""
        self.items: dict[str | None, Room] = {}
        """Subscriptions to one item, by the item; under None those to the group that another one speaks for,
        and windows that are not direct: those that share frames, or want to be asked."""

    def enter(self, subscription: Subscription) -> None:
        """Take one in."""
        self.size += 1
        subscriber = subscription.subscriber
        outlet = subscriber.outlet
        if outlet is not None and _may_be_direct(subscription):
            self._direct[subscription] = outlet
            self._fixed = None
            if subscriber.is_full:
                self.full.add(subscription)
            return
        room = self.room if _wants_all(subscription) else self.items.setdefault(subscription.wish.item, {})
        room[subscription] = None

    def sort_again(self, subscription: Subscription) -> None:
        """One that is here shares its frames from now on."""
        if subscription in self._direct and not _may_be_direct(subscription):
            self.leave(subscription)
            self.enter(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Take one out, if it is here."""
        if self._direct.pop(subscription, None) is not None:
            self._fixed = None
            self.full.discard(subscription)
            self.size -= 1
            return
        for room in (self.room, self.items.get(subscription.wish.item, {})):
            if subscription in room:
                del room[subscription]
                self.size -= 1
        if not self.items.get(subscription.wish.item, True):
            del self.items[subscription.wish.item]

    def filled(self, subscription: Subscription) -> None:
        """A subscriber is full: what leaves next finds its subscription behind, unless it drains before."""
        if subscription in self._direct:
            self.full.add(subscription)

    def drained(self, subscription: Subscription) -> None:
        """A subscriber has drained before anything left."""
        self.full.discard(subscription)

    def is_on_its_own(self, subscription: Subscription) -> bool:
        """Whether frames reach it here, and not by what goes to it and its siblings together."""
        return subscription in self._direct or subscription in self.room

    def direct(self) -> Direct:
        """The direct ones of this moment; who comes or goes later is not seen in it."""
        if self._fixed is None:
            floor = max((subscription.floor for subscription in self._direct), default=0)
            self._fixed = Direct(list(self._direct), list(self._direct.values()), floor)
        return self._fixed

    def everyone(self) -> list[Subscription]:
        """All of them."""
        items = (subscription for room in self.items.values() for subscription in room)
        return [*self._direct, *self.room, *items]


def _speaks_for_itself(subscription: Subscription) -> bool:
    return subscription.wish.item is None and subscription.speaker is None


def _wants_all(subscription: Subscription) -> bool:
    return _speaks_for_itself(subscription) and subscription.wish.limit is None


def _may_be_direct(subscription: Subscription) -> bool:
    """Whether what it wants is known without a look at other subscriptions."""
    return _wants_all(subscription) or (_speaks_for_itself(subscription) and not subscription.shares)
