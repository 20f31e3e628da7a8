"""The feed of one subscribed group: its changes in version order, and the lanes they leave by.

Owns contiguity, checked once here and not per subscriber. A change that does not follow the last one opens a
gap, which is closed once for all who are live, or sets them all behind (`gap.py`). Owns the ring of recent
changes, by which a subscriber comes from behind to live on the loop, without an await. Knows lanes and the
ring; no store, no socket.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterable
from typing import Literal

from headwater.model import Change, GroupKey, Item, Signal, Tombstone
from headwater.observe import SILENT, Delivered, Observer
from headwater.protocol.clients.wire import CatchUpEncoder, Stretch, Wire
from headwater.storage.base import Page
from headwater.streams.fanout.budgets import Budgets
from headwater.streams.fanout.flush import Flush
from headwater.streams.fanout.gap import Gap, changes_of
from headwater.streams.fanout.lane import Lane
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.ring import Ring
from headwater.streams.fanout.snapshots import Whole
from headwater.streams.fanout.subscription import Recovers, Subscription

Joined = Literal["live", "refused", "uncovered", "ahead"]

FRUITLESS_READS = 3
"""Reads of the store that may show nothing of what a notice told, before the feed begins anew: one may have
been begun before that notice."""


class Feed:
    """One group's changes on their way out. Made with the group's first subscription, dropped with its
    last."""

    __slots__ = (
        "_flushed",
        "_gap",
        "_known",
        "_lanes",
        "_on_end",
        "_pace",
        "_ring",
        "_rings",
        "_suspected",
        "_urgent",
        "group",
        "number",
        "observer",
        "recovery",
        "rollup",
        "snapshots",
        "subscriptions",
    )

    def __init__(
        self,
        number: int,
        group: GroupKey,
        budgets: Budgets,
        pace: Pace,
        recovery: Recovers,
        on_end: Callable[[Feed], None],
        *,
        rollup: float = 0.0,
        observer: Observer = SILENT,
    ) -> None:
        self._pace = pace
        self.recovery = recovery
        """What brings those back who are behind."""
        self._on_end = on_end
        self.observer = observer
        """Who is told of its subscriptions."""
        self.rollup = rollup
        """Seconds that lie at least between two flushes; 0 flushes at the end of each turn."""
        self._flushed = float("-inf")
        self._urgent = False
        self.number = number
        """Unique in the process; wires may name the feed by it."""
        self.group = group
        self.subscriptions: set[Subscription] = set()
        self._rings = budgets.rings
        self.snapshots = budgets.snapshots
        self._ring: Ring | None = None
        """None until the group's version is known: by its next change, or by the first catch-up."""
        self._known = 0
        """While the ring is None: the version that a catch-up must have reached at least. A read that began
        earlier may be older than what those who were set behind have been sent."""
        self._gap: Gap | None = None
        """What is known beyond the ring's head, if anything."""
        self._suspected = 0
        """Where the store stood when it was last compared, if that was beyond the ring's head."""
        self._lanes: dict[Wire, Lane] = {}

    @property
    def head(self) -> int | None:
        """The last version that the feed knows of."""
        return None if self._ring is None else self._ring.head

    @property
    def lags(self) -> bool:
        """Whether it lacks what the store has."""
        return self._gap is not None

    def covers(self, cursor: int) -> bool:
        """Whether what changed after a cursor can be sent from memory."""
        return cursor > 0 and self._ring is not None and self._ring.covers(cursor)

    # --- what comes -----------------------------------------------------------------------------------------

    def change(self, change: Change) -> None:
        """Take the next change.

        - It is not above the head: it was sent already, or a reader of the store was ahead of this notice.
        - It follows the head: it goes out.
        - It does not: something is missing. It waits, and the store is asked for what is missing.
        """
        ring = self._ring
        if ring is None:
            if change.version <= self._known:
                return
            ring = self._ring = Ring(self.number, self._rings, change.version - 1)
        if change.version <= ring.head:
            return
        if self._gap is None and change.version == ring.head + 1:
            self._take(ring, change)
        else:
            self.note(change.version).note(change)
            self._close_gap(ring)

    def signal(self, signal: Signal) -> None:
        """Take an ephemeral event; it reaches whoever is live when it leaves."""
        if self._gap is not None:
            self._gap.signals.append(signal)
            return
        self._urgent = True
        for lane in self._lanes.values():
            lane.signal(signal)

    def note(self, version: int) -> Gap:
        """The group is known to have reached a version that has not come: ask the store for what is missing,
        unless that is under way."""
        if self._gap is None:
            self._gap = Gap(version)
            self.recovery.mend(self)
        self._gap.known = max(self._gap.known, version)
        return self._gap

    def compare(self, version: int, *, certain: bool = False) -> None:
        """The store stood at a version a moment ago.

        The notice of a commit may still be under way, so what is beyond the head is lost only if it has not
        come by the next comparison; where it is `certain` that notices were lost, at once.
        """
        if self._ring is None or version <= self._ring.head:
            self._suspected = 0
        elif certain or 0 < self._suspected > self._ring.head:
            self._suspected = 0
            self.note(version)
        else:
            self._suspected = version

    def _take(self, ring: Ring, change: Change) -> None:
        advance = ring.append(change)
        for lane in self._lanes.values():
            lane.change(advance)

    # --- what was missed ------------------------------------------------------------------------------------

    def mend(self, page: Page) -> None:
        """Close the gap by what the store tells of the time since the head: for all who are live, if each
        change can be sent as it came (see `gap.py`), else by letting the feed begin anew.

        A wire that cannot resume cannot be told of a delete whose item is not known, so its subscriptions
        start over in any case.
        """
        gap, ring = self._gap, self._ring
        if gap is None or ring is None:
            return
        changes = changes_of(page, self.group, ring.head)
        gap.fruitless = gap.fruitless + 1 if page.through <= ring.head else 0
        if changes is None or gap.fruitless >= FRUITLESS_READS:
            self.begin_anew(page.head.floor if gap.fruitless else max(gap.known, page.head.floor))
            return
        self._lose_those_who_start_over()
        begins = ring.head == 0
        for change in changes:
            self._take(ring, change)
        self._move_on(ring, page.through)
        if begins:  # A page from nothing tells of no delete, and so is no history to come back to.
            ring.close()
            ring = self._ring = Ring(self.number, self._rings, page.through)
        self._close_gap(ring)

    def _close_gap(self, ring: Ring) -> None:
        """Take what came early, as far as it follows now."""
        gap = self._gap
        if gap is None:
            return
        while (change := gap.early.pop(ring.head + 1, None)) is not None:
            self._take(ring, change)
        gap.early = {version: change for version, change in gap.early.items() if version > ring.head}
        if gap.known <= ring.head:
            self._gap = None
            for signal in gap.signals:
                self.signal(signal)

    def _move_on(self, ring: Ring, through: int) -> None:
        """Nothing that anybody needs lies between the last change and `through`."""
        if through > ring.head:
            ring.head = through
            for lane in self._lanes.values():
                lane.head = through

    def _lose_those_who_start_over(self) -> None:
        for wire in [wire for wire in self._lanes if not wire.resumes]:
            for subscription in self._lanes.pop(wire).lose():
                subscription.resume()

    def begin_anew(self, known: int = 0) -> None:
        """Set everyone behind at what they have been sent, and begin from the store, which is known to have
        reached `known`. What the feed lacks is gone, or too much: a group that was forgotten goes on from the
        store's base, without a change."""
        lanes = list(self._lanes.values())
        self._lanes.clear()
        lost = [subscription for lane in lanes for subscription in lane.lose()]
        self._known = max(self._known, known, self.head or 0)
        self._gap = None
        self._close_ring()
        for subscription in lost:
            subscription.resume()

    def _close_ring(self) -> None:
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    # --- what leaves ----------------------------------------------------------------------------------------

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

    # --- who is here ----------------------------------------------------------------------------------------

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription that has ended, live or behind."""
        self.subscriptions.discard(subscription)
        self.recovery.forget(subscription)
        self.snapshots.read(subscription)
        if subscription.lane is not None:
            subscription.lane.leave(subscription)
        if not self.subscriptions:
            self._gap = None
            self._close_ring()
            self._on_end(self)

    def join(self, subscription: Subscription, encoder: CatchUpEncoder, read: Stretch) -> Joined:
        """Bring a subscription from a complete read of the store to live, without an await.

        - `uncovered`: the read is older than the feed is known to be, or more happened since than the ring
          holds. Nothing was sent; read on.
        - `ahead`: the read saw commits that have not come here yet. Nothing was sent; join again when the
          lane has advanced.
        - `refused`: the subscriber is full. Nothing was sent.
        - `live`: it has been sent what happened since its read, and its catch-up is complete. What the lane
          withheld left before, so that its cursor is that of all who are live; siblings of which the client
          does not know yet that they are behind were named to it in the same frames.
        """
        if self._ring is not None and self._ring.head < read.through == read.head and not self._is_followed:
            self.begin_anew(read.through)  # Nobody is live, so nobody waits for what leads up to the read.
        if self._ring is None:
            if read.through < self._known:
                return "uncovered"
            self._ring = Ring(self.number, self._rings, read.through)
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
        if self._whole(subscription) is not None:
            return self.join_whole(subscription)
        frames = told + encoder.stretch(since) + encoder.complete()
        if not subscription.subscriber.offer(frames):
            return "refused"
        for one in misled:
            one.believed_live = False
        lane.enter(subscription)
        if not subscription.wire.resumes:
            self.snapshots.sent(subscription, frames, lane)
        return "live"

    def join_whole(self, subscription: Subscription) -> Joined:
        """Bring a subscription to live by the frame that another one got, where the group has not changed
        since: `uncovered` where there is none. Items have no such frame: an ephemeral event may have been
        sent of one since, and clients drop what is stamped earlier."""
        whole = self._whole(subscription)
        if whole is None:
            return "uncovered"
        if not subscription.subscriber.offer(whole.frame):
            return "refused"
        whole.lane.enter(subscription)
        self.snapshots.shared(subscription, whole)
        return "live"

    def _whole(self, subscription: Subscription) -> Whole | None:
        lane = self._lanes.get(subscription.wire)
        whole = None if lane is None or subscription.wish.item is not None else lane.whole
        if whole is None:
            return None
        whole.lane.flush()
        return whole if whole.version == whole.lane.sent else None

    @property
    def _is_followed(self) -> bool:
        """Whether anybody is live."""
        return any(not lane.empty for lane in self._lanes.values())

    def _delivered(self, flush: Flush) -> None:
        if self.observer.listening:
            told = Delivered(self.group, len(flush.frames), flush.deliveries, len(flush.joined))
            self.observer.delivered(told)

    def _lane(self, wire: Wire, head: int) -> Lane:
        lane = self._lanes.get(wire)
        if lane is None:
            lane = self._lanes[wire] = Lane(
                self.number, wire, head, self._pace, merges=self.rollup > 0, delivered=self._delivered
            )
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
