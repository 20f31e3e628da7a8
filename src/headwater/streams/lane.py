"""The live subscriptions of one group in one wire version. Owns fan-out: encode once, hand the same bytes to
all.

All live subscriptions of a lane share one cursor, `sent`. Frames gather in `pending` during a loop turn and
go out in one flush, one `offer` per subscriber. A flush to a large room is sliced over several loop turns, so
that nothing else waits for it. Knows subscriptions and their `offer`; no store, no catch-up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from headwater.model import Outlet
from headwater.protocol.frames import Advance, Wire
from headwater.streams.commits import Event
from headwater.streams.rollup import merge
from headwater.streams.subscription import Subscription

log = logging.getLogger("headwater.streams")

SLICE = 1000
"""Offers in one loop turn. At about 1 us each (the design's measurement) a slice holds the loop for 1 to 2
ms."""

Offer = Callable[[bytes], bool]
Room = dict[Subscription, Offer]
Delivery = tuple[Subscription, Offer, bytes]

_NEWEST = 2**63
"""Above every version: what it stands for is within every window."""


class _Frame(NamedTuple):
    """One encoded frame: the item it is about (None: the group), that item's creating version, the bytes."""

    item: str | None
    created: int
    bytes: bytes


def _wanted(subscription: Subscription, pending: list[_Frame]) -> bytes:
    """What any of a subscription's live siblings wants, in order and once: what one is sent moves the others
    on, so they must not miss what came before."""
    live = [one for one in subscription.siblings if one.live]
    return b"".join(
        [frame.bytes for frame in pending if any(one.wants(frame.item, frame.created) for one in live)]
    )


class Lane:
    """Live subscriptions of one feed that speak one wire. `sent` is the version up to which all have been
    sent."""

    __slots__ = (
        "_direct",
        "_feed",
        "_full",
        "_items",
        "_outlets",
        "_pending",
        "_room",
        "_size",
        "_slicing",
        "_started",
        "_turn",
        "_waiting",
        "head",
        "merges",
        "sent",
        "wire",
    )

    def __init__(self, feed: int, wire: Wire, head: int, *, merges: bool = False) -> None:
        self._feed = feed
        self.merges = merges
        """Whether several changes of one item, held back together, leave as one."""
        self.wire = wire
        self.sent = head
        self.head = head
        self._room: Room = {}
        self._direct: dict[Subscription, Outlet] = {}
        """Those of the room whose subscribers say themselves when they are full."""
        self._outlets: list[Outlet] | None = []
        """Their outlets, side by side in memory; None when the list has to be made anew."""
        self._full: set[Subscription] = set()
        """Those of them that have said so since the last flush."""
        self._items: dict[str | None, Room] = {}
        """Subscriptions to one item, by the item; under None those to the group that another one speaks for,
        and windows."""
        self._size = 0
        self._pending: list[Advance | Event] = []
        """Encoded when they leave, not when they come: a wire's stamps must rise in the order of sending."""
        self._slicing: Iterator[Delivery] | None = None
        self._started = 0
        self._turn = 0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def empty(self) -> bool:
        """Whether nobody is live here."""
        return not self._size

    def change(self, advance: Advance) -> None:
        """Take the next change of the group into the frames of this turn."""
        self.head = advance.change.version
        if not self.empty or self._slicing is not None:
            self._pending.append(advance)
        else:
            self._reach(self.head)

    def advanced(self) -> asyncio.Future[None]:
        """Resolves when `sent` has risen, or everyone was lost."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def _reach(self, version: int) -> None:
        self.sent = version
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def event(self, event: Event) -> None:
        """Take an ephemeral event into the frames of this turn, behind the changes made before it."""
        if not self.empty:
            self._pending.append(event)

    def enter(self, subscription: Subscription) -> None:
        """Make a subscription live. It must have been sent everything up to `sent`."""
        subscription.live = subscription.shown = True
        subscription.since = self._turn
        plain = subscription.item is None and subscription.whole is None and subscription.limit is None
        subscriber = subscription.subscriber
        outlet = subscriber.outlet
        self._size += 1
        if plain and outlet is not None:
            self._direct[subscription] = outlet
            self._outlets = None
            if subscriber.is_full:
                self._full.add(subscription)
            return
        room = self._room if plain else self._items.setdefault(subscription.item, {})
        room[subscription] = subscriber.offer

    def filled(self, subscription: Subscription) -> None:
        """A live subscription's subscriber is full: what leaves next finds it behind, unless it drains
        before."""
        if subscription in self._direct:
            self._full.add(subscription)

    def drained(self, subscription: Subscription) -> None:
        """A live subscription's subscriber has drained before anything left."""
        self._full.discard(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Take a subscription out, if it is here."""
        subscription.live = False
        if self._direct.pop(subscription, None) is not None:
            self._outlets = None
            self._full.discard(subscription)
            self._size -= 1
            return
        if self._room.pop(subscription, None) is not None:
            self._size -= 1
            return
        room = self._items.get(subscription.item)
        if room is not None and room.pop(subscription, None) is not None:
            self._size -= 1
            if not room:
                del self._items[subscription.item]

    def lose(self) -> list[Subscription]:
        """Send what gathered, then set everyone behind and forget them. Answers them.

        Amid a sliced flush nobody can say who has it already, so all fall behind to where it started: a wire
        that resumes drops what comes twice, by version.
        """
        self.flush()
        cursor = self.sent if self._slicing is None else self._started
        room = [*self._direct, *self._room]
        everyone = [*room, *(subscription for room in self._items.values() for subscription in room)]
        self._slicing = None
        for subscription in everyone:
            self.leave(subscription)
            subscription.fall_behind(cursor)
        self._wake()
        return everyone

    def flush(self) -> None:
        """Send what gathered to everyone live. While a sliced flush is under way it goes out after that
        one."""
        if self._slicing is not None:
            return
        if not self._pending:
            self._reach(self.head)
            return
        gathered = merge(self._pending, versioned=self.wire.resumes) if self.merges else self._pending
        pending = [self._encode(one) for one in gathered]
        self._pending = []
        self._started = self.sent
        self._reach(self.head)
        if not pending:
            return
        self._turn += 1
        if self._size <= SLICE:
            self._send_room(pending)
            if self._items:
                for delivery in list(self._item_deliveries(pending)):
                    self._deliver(*delivery)
        else:
            self._slicing = self._deliveries(pending)
            self._send_slice()

    def set_behind(self, subscription: Subscription) -> None:
        """Take a live subscription out and let it need what follows what it has been sent.

        Frames of its siblings are not for it from now on, so the client is told; where it cannot be, the
        siblings fall behind too.
        """
        cursor = self.sent if self._slicing is None else self._started
        self._fall(subscription, cursor)
        if not subscription.shares:
            return
        if subscription.subscriber.offer(self.wire.behind(subscription)):
            subscription.shown = False
        else:
            self._fall_together(subscription, cursor)

    def _encode(self, one: Advance | Event) -> _Frame:
        """What travels of a change or an event, and whom it concerns."""
        if isinstance(one, Event):
            return _Frame(one.item, _NEWEST, self.wire.event(self._feed, one.group, one.item, one.body))
        created = _NEWEST if one.change.kind == "delete" else one.change.created
        return _Frame(one.change.id, created, self.wire.change(one))

    def _send_room(self, pending: list[_Frame]) -> None:
        """The hot path: one call of the transport for each subscriber, and no other object touched. At a
        thousand sockets the kernel's work evicts everything between two of them, so each touch is a cache
        miss."""
        frames = pending[0].bytes if len(pending) == 1 else b"".join([frame.bytes for frame in pending])
        for subscription in list(self._full):
            self._refuse(subscription)
        self._write(frames)
        refused = [subscription for subscription, offer in self._room.items() if not offer(frames)]
        for subscription in refused:
            self._refuse(subscription)

    def _write(self, frames: bytes) -> None:
        """Write to all direct subscribers; one that fails is left to its own end, and the others go on."""
        if self._outlets is None:
            self._outlets = list(self._direct.values())
        outlets = iter(self._outlets)
        while True:
            try:
                for outlet in outlets:
                    outlet.write(frames)
                return
            except Exception:
                log.exception("A subscriber failed to take frames")

    def _item_deliveries(self, pending: list[_Frame]) -> Iterator[Delivery]:
        sharing: dict[int, Subscription] = {}
        by_item: dict[str, list[bytes]] = {}
        for frame in pending:
            if frame.item is not None and frame.item in self._items:
                by_item.setdefault(frame.item, []).append(frame.bytes)
        for item, frames in by_item.items():
            joined = b"".join(frames)
            for subscription, offer in self._items[item].items():
                if subscription.shares:
                    sharing[id(subscription.siblings)] = subscription
                else:
                    yield subscription, offer, joined
        if None in self._items:
            yield from self._window_deliveries(self._items[None], pending, sharing)
        for subscription in sharing.values():
            yield subscription, subscription.subscriber.offer, _wanted(subscription, pending)

    def _window_deliveries(
        self, room: Room, pending: list[_Frame], sharing: dict[int, Subscription]
    ) -> Iterator[Delivery]:
        """The same bytes for all, unless something is below a window's floor. Who shares with siblings is
        noted instead."""
        joined = b"".join([frame.bytes for frame in pending])
        oldest = min(frame.created for frame in pending)
        for subscription, offer in room.items():
            if subscription.shares:
                sharing[id(subscription.siblings)] = subscription
            elif subscription.floor <= oldest:
                yield subscription, offer, joined
            elif mine := b"".join([frame.bytes for frame in pending if frame.created >= subscription.floor]):
                yield subscription, offer, mine

    def _deliveries(self, pending: list[_Frame]) -> Iterator[Delivery]:
        """Everyone who is live now, fixed at this moment: who enters later has been sent these frames
        already."""
        frames = b"".join([frame.bytes for frame in pending])
        room = [(subscription, offer, frames) for subscription, offer in self._room.items()]
        room += [(subscription, subscription.subscriber.offer, frames) for subscription in self._direct]
        return iter([*room, *self._item_deliveries(pending)])

    def _send_slice(self) -> None:
        deliveries = self._slicing
        if deliveries is None:
            return
        for _ in range(SLICE):
            delivery = next(deliveries, None)
            if delivery is None:
                self._slicing = None
                self.flush()
                return
            self._deliver(*delivery)
        asyncio.get_running_loop().call_soon(self._send_slice)

    def _deliver(self, subscription: Subscription, offer: Offer, frames: bytes) -> None:
        """One delivery. Who left the lane meanwhile is passed over, and so is who left and came back: its
        catch-up has sent it these frames."""
        due = self._is_due(subscription) or any(
            self._is_due(one) and not self._is_plain(one) for one in subscription.siblings
        )
        if due and frames and not offer(frames):
            self._refuse(subscription)

    def _is_plain(self, subscription: Subscription) -> bool:
        """Whether it is in the room, which gets every frame."""
        return subscription in self._direct or subscription in self._room

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

    def _refuse(self, subscription: Subscription) -> None:
        self._fall(subscription, self._started)
        self._fall_together(subscription, self._started)

    def _fall_together(self, subscription: Subscription, cursor: int) -> None:
        """Set its siblings behind too. The client takes a frame for all of them that it believes live, so
        none may be sent one as long as it does not know that another has missed something."""
        for one in subscription.siblings:
            if one.live:
                self._fall(one, cursor)

    def _fall(self, subscription: Subscription, cursor: int) -> None:
        self.leave(subscription)
        subscription.fall_behind(cursor)
