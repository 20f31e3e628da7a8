"""The live subscriptions of one group in one wire version. Owns their cursor, and when frames leave.

All live subscriptions of a lane share one cursor, `sent`. Frames gather in `pending` during a loop turn and
leave in one flush, encoded once, at the pace of the loop: one to a large room takes several turns, so that
nothing else waits for it. Knows subscriptions; no store, no catch-up. Who is there is `audience.py`, who gets
what `flush.py`.
"""

from __future__ import annotations

import asyncio
from functools import partial

from headwater.model import Signal
from headwater.protocol.clients.wire import Advance, Wire
from headwater.streams.fanout.audience import Audience
from headwater.streams.fanout.flush import NEWEST, Flush, Frame
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.rollup import merge
from headwater.streams.fanout.subscription import Subscription


class Lane:
    """Live subscriptions of one feed that speak one wire. `sent` is the version up to which all have been
    sent."""

    __slots__ = (
        "_audience",
        "_feed",
        "_flush",
        "_pace",
        "_pending",
        "_started",
        "_turn",
        "_waiting",
        "head",
        "merges",
        "sent",
        "wire",
    )

    def __init__(self, feed: int, wire: Wire, head: int, pace: Pace, *, merges: bool = False) -> None:
        self._feed = feed
        self._pace = pace
        self.merges = merges
        """Whether several changes of one item, held back together, leave as one."""
        self.wire = wire
        self.sent = head
        self.head = head
        self._audience = Audience()
        self._pending: list[Advance | Signal] = []
        """Encoded when they leave, not when they come: a wire's stamps must rise in the order of sending."""
        self._flush: Flush | None = None
        """The one under way."""
        self._started = 0
        """Where `sent` stood before it."""
        self._turn = 0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def empty(self) -> bool:
        """Whether nobody is live here."""
        return not self._audience.size

    def change(self, advance: Advance) -> None:
        """Take the next change of the group into the frames of this turn."""
        self.head = advance.change.version
        if not self.empty or self._flush is not None:
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

    def event(self, event: Signal) -> None:
        """Take an ephemeral event into the frames of this turn, behind the changes made before it."""
        if not self.empty:
            self._pending.append(event)

    def enter(self, subscription: Subscription) -> None:
        """Make a subscription live. It must have been sent everything up to `sent`."""
        subscription.live = subscription.shown = True
        subscription.since = self._turn
        self._audience.enter(subscription)

    def filled(self, subscription: Subscription) -> None:
        """A live subscription's subscriber is full: what leaves next finds it behind, unless it drains
        before."""
        self._audience.filled(subscription)

    def drained(self, subscription: Subscription) -> None:
        """A live subscription's subscriber has drained before anything left."""
        self._audience.drained(subscription)

    def shares(self, subscription: Subscription) -> None:
        """A live subscription shares its frames with siblings from now on."""
        self._audience.sort_again(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Take a subscription out, if it is here."""
        subscription.live = False
        self._audience.leave(subscription)
        if self._flush is not None:
            self._flush.leave(subscription)

    def lose(self) -> list[Subscription]:
        """Send what gathered, then set everyone behind and forget them. Answers them.

        Amid a flush nobody can say who has it already, so all fall behind to where it started: a wire
        that resumes drops what comes twice, by version.
        """
        self.flush()
        cursor = self._cursor
        self._flush = None
        everyone = self._audience.everyone()
        for subscription in everyone:
            self._fall(subscription, cursor)
        self._wake()
        return everyone

    def flush(self) -> None:
        """Send what gathered to everyone live. While a flush is under way it goes out after that one."""
        if self._flush is not None:
            return
        if not self._pending:
            self._reach(self.head)
            return
        gathered = merge(self._pending, versioned=self.wire.resumes) if self.merges else self._pending
        frames = [self._encode(one) for one in gathered]
        self._pending = []
        self._started = self.sent
        self._reach(self.head)
        if frames:
            self._turn += 1
            self._flush = Flush(self._audience, frames, self._turn, self._refuse)
            self._go_on(self._flush)

    def _go_on(self, flush: Flush) -> None:
        """Make as many deliveries as this turn of the loop allows."""
        if flush is not self._flush:
            return  # Everyone was lost meanwhile.
        if flush.remaining:
            flush.send(self._pace.take(flush.remaining))
        if flush.remaining:
            self._pace.later(partial(self._go_on, flush))
        else:
            self._flush = None
            self.flush()

    @property
    def _cursor(self) -> int:
        """Up to where everyone live has been sent for certain."""
        return self.sent if self._flush is None else self._started

    def set_behind(self, subscription: Subscription) -> None:
        """Take a live subscription out and let it need what follows what it has been sent.

        Frames of its siblings are not for it from now on, so the client is told; where it cannot be, the
        siblings fall behind too.
        """
        cursor = self._cursor
        self._fall(subscription, cursor)
        if not subscription.shares:
            return
        if subscription.subscriber.offer(self.wire.behind(subscription)):
            subscription.shown = False
        else:
            self._fall_together(subscription, cursor)

    def _encode(self, one: Advance | Signal) -> Frame:
        """What travels of a change or an event, and whom it concerns."""
        if isinstance(one, Signal):
            return Frame(one.item, NEWEST, self.wire.event(self._feed, one.group, one.item, one.body))
        created = NEWEST if one.change.kind == "delete" else one.change.created
        return Frame(one.change.id, created, self.wire.change(one))

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
