"""One flush of a lane: the frames that gathered, and who is to have them, fixed when it begins.

Owns who gets which frames, and the order of deliveries. They are made in as many slices as the loop's pace
asks for: whoever leaves in between is passed over, and so is who left and came back, for its catch-up has
sent it these frames.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import NamedTuple

from headwater.model import Outlet
from headwater.streams.fanout.audience import Audience, Room
from headwater.streams.fanout.subscription import Subscription

log = logging.getLogger("headwater.streams")

NEWEST = 2**63
"""Above every version: what it stands for is within every window."""


class Frame(NamedTuple):
    """One encoded frame: the item it is about (None: the group), that item's creating version, the bytes."""

    item: str | None
    created: int
    bytes: bytes


class Portion(NamedTuple):
    """The same frames for some subscriptions that are asked whether they take them.

    Nothing is made for each of them before its turn: ten thousand new objects at once would have the garbage
    collector walk through all that the process holds, for a tenth of a second.
    """

    subscriptions: Sequence[Subscription]
    frames: bytes


class Flush:
    """A flush under way: `deliveries` are all that it makes, `remaining` those that are still to be made."""

    __slots__ = (
        "_audience",
        "_direct",
        "_left",
        "_next",
        "_number",
        "_oldest",
        "_others",
        "_refuse",
        "deliveries",
        "frames",
        "joined",
        "remaining",
    )

    def __init__(
        self, audience: Audience, frames: Sequence[Frame], number: int, refuse: Callable[[Subscription], None]
    ) -> None:
        """`number` is its own in the lane; `refuse` is told of each subscription that takes nothing."""
        self._audience = audience
        self._number = number
        self._refuse = refuse
        self.frames = frames
        self.joined = _joined(frames)
        self._direct = audience.direct()
        self._oldest = _oldest(frames)
        """The creating version of the oldest item that a frame is about."""
        self._next = 0
        """The first of the direct ones that has not been sent it."""
        others = list(_portions(audience, frames, self.joined))
        self._others = chain.from_iterable(zip(one.subscriptions, repeat(one.frames)) for one in others)
        self._left: set[Subscription] = set()
        self.deliveries = len(self._direct.outlets) + sum(len(one.subscriptions) for one in others)
        self.remaining = self.deliveries

    def leave(self, subscription: Subscription) -> None:
        """A subscription has left the lane."""
        self._left.add(subscription)

    def send(self, deliveries: int) -> None:
        """Make so many of the remaining deliveries: the direct ones first, then those who are asked.

        - Nobody has left or is full, and all frames lie within everybody's window: straight to the outlets.
        - Somebody has, or something lies below a window's floor: each direct one is looked at.
        - The others are asked one by one, for they share frames, or want only some of them.
        """
        self.remaining -= deliveries
        first, self._next = self._next, min(self._next + deliveries, len(self._direct.outlets))
        if self._audience.full or self._left or self._oldest < self._direct.floor:
            self._write_with_care(first, self._next)
        else:
            self._write(self._direct.outlets[first : self._next], self.joined)
        for subscription, frames in islice(self._others, deliveries - (self._next - first)):
            self._deliver(subscription, frames)

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
        for at in range(first, last):
            subscription = self._direct.subscriptions[at]
            if subscription in self._audience.full:
                self._refuse(subscription)
            elif subscription not in self._left:
                whole = subscription.floor <= self._oldest
                frames = self.joined if whole else _joined_above(self.frames, subscription.floor)
                if frames:
                    self._write((self._direct.outlets[at],), frames)

    def _deliver(self, subscription: Subscription, frames: bytes) -> None:
        """One delivery, if it is still due to the subscription or to a sibling that it stands for."""
        due = self._is_due(subscription) or any(
            self._is_due(one) and not self._audience.is_on_its_own(one) for one in subscription.siblings
        )
        if not due or not frames:
            return
        try:
            taken = subscription.subscriber.offer(frames)
        except Exception:
            log.exception("A subscriber failed to take frames")
        else:
            if not taken:
                self._refuse(subscription)

    def _is_due(self, subscription: Subscription) -> bool:
        return (
            subscription.lane is not None
            and subscription.entered_at != self._number
            and not self._is_spoken_for(subscription)
        )

    def _is_spoken_for(self, subscription: Subscription) -> bool:
        """Whether its whole group's subscription brings these frames: not if that one came after they were
        fixed, for then they are in its catch-up, which is its own."""
        speaker = subscription.speaker
        return speaker is not None and speaker.lane is not None and speaker.entered_at != self._number


def _joined(frames: Iterable[Frame]) -> bytes:
    found = [frame.bytes for frame in frames]
    return found[0] if len(found) == 1 else b"".join(found)


def _portions(audience: Audience, frames: Sequence[Frame], joined: bytes) -> Iterator[Portion]:
    """What goes to all who are not direct."""
    if audience.room:
        yield Portion(list(audience.room), joined)
    if audience.items:
        yield from _item_portions(audience.items, frames, joined)


def _item_portions(
    items: Mapping[str | None, Room], frames: Sequence[Frame], joined: bytes
) -> Iterator[Portion]:
    sharing: dict[int, Subscription] = {}
    by_item: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame.item is not None and frame.item in items:
            by_item.setdefault(frame.item, []).append(frame)
    for item, about in by_item.items():
        yield Portion(_unshared(items[item], sharing), _joined(about))
    if None in items:
        yield from _window_portions(_unshared(items[None], sharing), frames, joined)
    for subscription in sharing.values():
        yield Portion([subscription], _wanted(subscription, frames))


def _unshared(room: Room, sharing: dict[int, Subscription]) -> list[Subscription]:
    """Those who share no frames with siblings; one of each who do is noted instead."""
    sharing.update({id(one.siblings): one for one in room if one.shares})
    return [one for one in room if not one.shares]


def _window_portions(
    windows: Sequence[Subscription], frames: Sequence[Frame], joined: bytes
) -> Iterator[Portion]:
    """The same bytes for all, unless something is below a window's floor."""
    oldest = _oldest(frames)
    yield Portion([one for one in windows if one.floor <= oldest], joined)
    for one in windows:
        if one.floor > oldest:
            yield Portion([one], _joined_above(frames, one.floor))


def _oldest(frames: Iterable[Frame]) -> int:
    return min(frame.created for frame in frames)


def _joined_above(frames: Iterable[Frame], floor: int) -> bytes:
    return b"".join([frame.bytes for frame in frames if frame.created >= floor])


def _wanted(subscription: Subscription, frames: Iterable[Frame]) -> bytes:
    """What any of a subscription's live siblings wants, in order and once: what one is sent moves the others
    on, so they must not miss what came before."""
    live = [one for one in subscription.siblings if one.lane is not None]
    return b"".join(
        [frame.bytes for frame in frames if any(one.wants(frame.item, frame.created) for one in live)]
    )
