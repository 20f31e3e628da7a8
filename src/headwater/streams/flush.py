"""One flush of a lane: the frames that gathered, and who is to have them, fixed when it begins.

Owns who gets which frames, and the order of deliveries. They are made in as many slices as the loop's pace
asks for: whoever leaves in between is passed over, and so is who left and came back, for its catch-up has
sent it these frames.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from headwater.model import Outlet
from headwater.streams.audience import Audience, Offer, Room
from headwater.streams.subscription import Subscription

log = logging.getLogger("headwater.streams")

NEWEST = 2**63
"""Above every version: what it stands for is within every window."""


class Frame(NamedTuple):
    """One encoded frame: the item it is about (None: the group), that item's creating version, the bytes."""

    item: str | None
    created: int
    bytes: bytes


class Delivery(NamedTuple):
    """Frames for one subscription that is asked whether it takes them."""

    subscription: Subscription
    offer: Offer
    frames: bytes


class Flush:
    """A flush under way. `remaining` are the deliveries that are still to be made."""

    __slots__ = (
        "_audience",
        "_direct",
        "_frames",
        "_joined",
        "_left",
        "_next",
        "_others",
        "_refuse",
        "_selects",
        "_turn",
        "remaining",
    )

    def __init__(
        self, audience: Audience, frames: Sequence[Frame], turn: int, refuse: Callable[[Subscription], None]
    ) -> None:
        """`turn` is its number in the lane; `refuse` is told of each subscription that takes nothing."""
        self._audience = audience
        self._turn = turn
        self._refuse = refuse
        self._frames = frames
        self._joined = _joined(frames)
        self._direct = audience.direct()
        self._selects = _oldest(frames) < self._direct.floor
        """Whether something is below the floor of a direct window."""
        self._next = 0
        """The first of the direct ones that has not been sent it."""
        others = [*_others(audience, frames, self._joined)]
        self._others = iter(others)
        self._left: set[Subscription] = set()
        self.remaining = len(self._direct.outlets) + len(others)

    def leave(self, subscription: Subscription) -> None:
        """A subscription has left the lane."""
        self._left.add(subscription)

    def send(self, deliveries: int) -> None:
        """Make so many of the remaining deliveries."""
        self.remaining -= deliveries
        first, self._next = self._next, min(self._next + deliveries, len(self._direct.outlets))
        if self._audience.full or self._left or self._selects:
            self._write_with_care(first, self._next)
        else:
            self._write(self._direct.outlets[first : self._next], self._joined)
        for delivery in islice(self._others, deliveries - (self._next - first)):
            self._deliver(delivery)

    def _write(self, outlets: Iterable[Outlet], frames: bytes) -> None:
        """The hot path: one call of the transport for each subscriber, and no other object touched. At a
        thousand sockets the kernel's work evicts everything between two of them, so each touch is a cache
        miss. One that fails is left to its own end, and the others go on."""
        outlets = iter(outlets)
        while True:
            try:
                for outlet in outlets:
                    outlet.write(frames)
                return
            except Exception:
                log.exception("A subscriber failed to take frames")

    def _write_with_care(self, first: int, last: int) -> None:
        """The same where somebody has left, is full, or does not want all of it."""
        oldest = _oldest(self._frames)
        for at in range(first, last):
            subscription = self._direct.subscriptions[at]
            if subscription in self._audience.full:
                self._refuse(subscription)
            elif subscription not in self._left:
                whole = subscription.floor <= oldest
                frames = self._joined if whole else _joined_above(self._frames, subscription.floor)
                if frames:
                    self._write((self._direct.outlets[at],), frames)

    def _deliver(self, delivery: Delivery) -> None:
        """One delivery, if it is still due to its subscription or to a sibling that it speaks for."""
        subscription, offer, frames = delivery
        due = self._is_due(subscription) or any(
            self._is_due(one) and not self._audience.is_plain(one) for one in subscription.siblings
        )
        if not due or not frames:
            return
        try:
            taken = offer(frames)
        except Exception:
            log.exception("A subscriber failed to take frames")
        else:
            if not taken:
                self._refuse(subscription)

    def _is_due(self, subscription: Subscription) -> bool:
        return (
            subscription.live and subscription.since != self._turn and not self._is_spoken_for(subscription)
        )

    def _is_spoken_for(self, subscription: Subscription) -> bool:
        """Whether its whole group's subscription brings these frames: not if that one came after they were
        fixed, for then they are in its catch-up, which is its own."""
        return (
            subscription.silent and subscription.whole is not None and subscription.whole.since != self._turn
        )


def _joined(frames: Iterable[Frame]) -> bytes:
    found = [frame.bytes for frame in frames]
    return found[0] if len(found) == 1 else b"".join(found)


def _others(audience: Audience, frames: Sequence[Frame], joined: bytes) -> Iterator[Delivery]:
    """The deliveries to all who are not direct."""
    for subscription, offer in audience.room.items():
        yield Delivery(subscription, offer, joined)
    if audience.items:
        yield from _item_deliveries(audience.items, frames, joined)


def _item_deliveries(
    items: Mapping[str | None, Room], frames: Sequence[Frame], joined: bytes
) -> Iterator[Delivery]:
    sharing: dict[int, Subscription] = {}
    by_item: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame.item is not None and frame.item in items:
            by_item.setdefault(frame.item, []).append(frame)
    for item, about in by_item.items():
        together = _joined(about)
        for subscription, offer in items[item].items():
            if subscription.shares:
                sharing[id(subscription.siblings)] = subscription
            else:
                yield Delivery(subscription, offer, together)
    if None in items:
        yield from _window_deliveries(items[None], frames, joined, sharing)
    for subscription in sharing.values():
        yield Delivery(subscription, subscription.subscriber.offer, _wanted(subscription, frames))


def _window_deliveries(
    room: Room, frames: Sequence[Frame], joined: bytes, sharing: dict[int, Subscription]
) -> Iterator[Delivery]:
    """The same bytes for all, unless something is below a window's floor. Who shares with siblings is noted
    instead."""
    oldest = _oldest(frames)
    for subscription, offer in room.items():
        if subscription.shares:
            sharing[id(subscription.siblings)] = subscription
        elif subscription.floor <= oldest:
            yield Delivery(subscription, offer, joined)
        elif mine := _joined_above(frames, subscription.floor):
            yield Delivery(subscription, offer, mine)


def _oldest(frames: Iterable[Frame]) -> int:
    return min(frame.created for frame in frames)


def _joined_above(frames: Iterable[Frame], floor: int) -> bytes:
    return b"".join([frame.bytes for frame in frames if frame.created >= floor])


def _wanted(subscription: Subscription, frames: Iterable[Frame]) -> bytes:
    """What any of a subscription's live siblings wants, in order and once: what one is sent moves the others
    on, so they must not miss what came before."""
    live = [one for one in subscription.siblings if one.live]
    return b"".join(
        [frame.bytes for frame in frames if any(one.wants(frame.item, frame.created) for one in live)]
    )
