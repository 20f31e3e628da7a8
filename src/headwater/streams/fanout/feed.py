"""The feed of one subscribed group: its changes in version order, and the lanes they leave by.

Owns contiguity, checked once here and not per subscriber: a change that does not follow the last one sets
everyone behind, and catching up repairs it. Owns the ring of recent changes, by which a subscriber comes from
behind to live on the loop, without an await. Knows lanes and the ring; no store, no socket.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterable
from typing import Literal

from headwater.model import Change, GroupKey, Item, Signal, Tombstone
from headwater.protocol.clients.wire import CatchUpEncoder, Stretch, Wire
from headwater.streams.fanout.lane import Lane
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.ring import Ring
from headwater.streams.fanout.subscription import Recovers, Subscription

Joined = Literal["live", "refused", "uncovered", "ahead"]


class Feed:
    """One group's changes on their way out. Made with the group's first subscription, dropped with its
    last."""

    __slots__ = (
        "_flushed",
        "_known",
        "_lanes",
        "_on_end",
        "_pace",
        "_ring",
        "_ring_bytes",
        "_urgent",
        "group",
        "number",
        "recovery",
        "rollup",
        "subscriptions",
    )

    def __init__(
        self,
        number: int,
        group: GroupKey,
        ring_bytes: int,
        pace: Pace,
        recovery: Recovers,
        on_end: Callable[[Feed], None],
        *,
        rollup: float = 0.0,
    ) -> None:
        self._pace = pace
        self.recovery = recovery
        """What brings those back who are behind."""
        self._on_end = on_end
        self.rollup = rollup
        """Seconds that lie at least between two flushes; 0 flushes at the end of each turn."""
        self._flushed = float("-inf")
        self._urgent = False
        self.number = number
        """Unique in the process; wires may name the feed by it."""
        self.group = group
        self.subscriptions: set[Subscription] = set()
        self._ring_bytes = ring_bytes
        self._ring: Ring | None = None
        """None until the group's version is known: by its next change, or by the first catch-up."""
        self._known = 0
        """While the ring is None: the version that a catch-up must have reached at least. A read that began
        earlier may be older than what those who were set behind have been sent."""
        self._lanes: dict[Wire, Lane] = {}

    @property
    def head(self) -> int | None:
        """The last version that the feed knows of."""
        return None if self._ring is None else self._ring.head

    def covers(self, cursor: int) -> bool:
        """Whether what changed after a cursor can be sent from memory."""
        return cursor > 0 and self._ring is not None and self._ring.covers(cursor)

    def change(self, change: Change) -> None:
        """Take the next change. One that does not follow the last one sets everyone behind."""
        if self._ring is None:
            self._ring = Ring(self.number, self._ring_bytes, change.version - 1)
        if change.version <= self._ring.head:
            return  # Sent already: a reader of the store was ahead of this notice.
        if change.version != self._ring.head + 1:
            self.begin_anew()
            self._ring = Ring(self.number, self._ring_bytes, change.version - 1)
        advance = self._ring.append(change)
        for lane in self._lanes.values():
            lane.change(advance)

    def signal(self, signal: Signal) -> None:
        """Take an ephemeral event; it reaches whoever is live when it leaves."""
        self._urgent = True
        for lane in self._lanes.values():
            lane.signal(signal)

    def withheld(self, now: float) -> float:
        """Seconds for which what gathered is still to be held back; a signal lets everything go at once."""
        return 0.0 if self._urgent or not self.rollup else max(0.0, self._flushed + self.rollup - now)

    def flush(self, now: float = 0.0) -> None:
        """Send what gathered. `now` is the loop's time."""
        self._flushed, self._urgent = now, False
        for lane in self._lanes.values():
            lane.flush()

    def advanced(self, wire: Wire) -> Future[None]:
        """Resolves when the live subscriptions of a wire have been sent more, or were lost."""
        lane = self._lanes.get(wire)
        if lane is None:
            done: Future[None] = get_running_loop().create_future()
            done.set_result(None)
            return done
        return lane.advanced()

    def begin_anew(self, known: int = 0) -> None:
        """Set everyone behind at what they have been sent, and begin from the store, which is known to have
        reached `known`. What the feed lacks is gone, or no notice told of it: a group that was forgotten goes
        on from the store's base, without a change."""
        lanes = list(self._lanes.values())
        self._lanes.clear()
        lost = [subscription for lane in lanes for subscription in lane.lose()]
        self._known = max(self._known, known, self.head or 0)
        self._ring = None
        for subscription in lost:
            subscription.resume()

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription that has ended, live or behind."""
        self.subscriptions.discard(subscription)
        self.recovery.forget(subscription)
        if subscription.lane is not None:
            subscription.lane.leave(subscription)
        if not self.subscriptions:
            self._on_end(self)

    def join(self, subscription: Subscription, encoder: CatchUpEncoder, read: Stretch) -> Joined:
        """Bring a subscription from a complete read of the store to live, without an await.

        `live`: it is. `refused`: the subscriber is full, nothing was sent. `uncovered`: more happened since
        the read than the ring holds, read on. `ahead`: the read saw commits that have not been published here
        yet; join again after they are.
        """
        if self._ring is None:
            if read.through < self._known:
                return "uncovered"
            self._ring = Ring(self.number, self._ring_bytes, read.through)
        lane = self._lane(subscription.wire, self._ring.head)
        lane.flush()
        if read.head > lane.sent:
            return "ahead"
        if not self._ring.covers(read.through):
            return "uncovered"
        missed = self._ring.between(read.through, lane.sent)
        since = _stretch_of((advance.change for advance in missed), subscription.wish.item, lane.sent)
        misled = [one for one in subscription.siblings if one.believed_live and not one.live]
        told = b"".join([one.wire.behind(one) for one in misled if one is not subscription])
        if not subscription.subscriber.offer(told + encoder.stretch(since) + encoder.complete()):
            return "refused"
        for one in misled:
            one.believed_live = False
        lane.enter(subscription)
        return "live"

    def _lane(self, wire: Wire, head: int) -> Lane:
        lane = self._lanes.get(wire)
        if lane is None:
            lane = self._lanes[wire] = Lane(self.number, wire, head, self._pace, merges=self.rollup > 0)
        return lane


def _stretch_of(changes: Iterable[Change], only: str | None, through: int) -> Stretch:
    """What changes up to `through` left behind, as the store would tell it: each item once, the latest.

    A joiner gets them as a part of its catch-up, not as live frames: another subscription of the same socket
    may have been sent those already, and would take a second delete and create for a new order.
    """
    latest: dict[str, Change] = {}
    for change in changes:
        if only in (None, change.id):
            latest.pop(change.id, None)
            latest[change.id] = change
    items = [Item(c.id, c.data, c.version, c.created) for c in latest.values() if c.kind != "delete"]
    tombstones = [Tombstone(c.id, c.version) for c in latest.values() if c.kind == "delete"]
    return Stretch(items, tombstones, through, through)
