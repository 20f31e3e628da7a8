"""The live subscriptions of one group in one wire version. Owns their cursor, and when frames leave.

All live subscriptions of a lane share one cursor, `sent`. Frames gather in `pending` during a loop turn and
leave in one flush, encoded once, at the pace of the loop: one to a large room takes several turns, so that
nothing else waits for it. Knows subscriptions; no store, no catch-up. Who is there is `audience.py`, who gets
what `flush.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from headwater.model import Signal
from headwater.observe import Why
from headwater.protocol.clients.wire import Advance, Wire
from headwater.streams.fanout.audience import Audience
from headwater.streams.fanout.flush import NEWEST, Flush, Frame
from headwater.streams.fanout.pace import Pace
from headwater.streams.fanout.rollup import merge
from headwater.streams.fanout.subscription import Subscription

if TYPE_CHECKING:
    from headwater.streams.fanout.snapshots import Whole


class Lane:
    """Live subscriptions of one feed that speak one wire. `sent` is the version up to which all have been
    sent."""

    __slots__ = (
        "_delivered",
        "_feed",
        "_flush",
        "_flushes",
        "_pace",
        "_pending",
        "_started",
        "_waiting",
        "audience",
        "head",
        "merges",
        "sent",
        "whole",
        "wire",
    )

    def __init__(
        self,
        feed: int,
        wire: Wire,
        head: int,
        pace: Pace,
        *,
        merges: bool = False,
        delivered: Callable[[Flush], None] = lambda _flush: None,
    ) -> None:
        """`delivered` is told of each flush once it has reached everyone it was for."""
        self._feed = feed
        self._delivered = delivered
        self._pace = pace
        self.merges = merges
        """Whether several changes of one item, held back together, leave as one."""
        self.wire = wire
        self.sent = head
        self.head = head
        self.audience = Audience()
        """Who is live here."""
        self._pending: list[Advance | Signal] = []
        """Encoded when they leave, not when they come: a wire's stamps must rise in the order of sending."""
        self._flush: Flush | None = None
        """The one under way."""
        self._started = 0
        """Where `sent` stood before it."""
        self._flushes = 0
        """How many there were: the number of the last one."""
        self._waiting: list[asyncio.Future[None]] = []
        self.whole: Whole | None = None
        """The group as a frame, where the wire cannot resume and somebody got it a moment ago."""

    @property
    def empty(self) -> bool:
        """Whether nobody is live here."""
        return not self.audience.size

    def change(self, advance: Advance) -> None:
        """Take the next change of the group into the frames of this turn."""
        self.head = advance.change.version
        if not self.empty or self._flush is not None:
            self._pending.append(advance)
        else:
            self._reach(self.head)

    def signal(self, signal: Signal) -> None:
        """Take an ephemeral event into the frames of this turn, behind the changes made before it."""
        if not self.empty:
            self._pending.append(signal)

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

    # --- who is live ----------------------------------------------------------------------------------------

    def enter(self, subscription: Subscription) -> None:
        """Make a subscription live. It must have been sent everything up to `sent`."""
        subscription.enter(self, self._flushes)
        self.audience.enter(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Take a subscription out that ends or falls behind."""
        subscription.lane = None
        self.audience.leave(subscription)
        if self._flush is not None:
            self._flush.leave(subscription)

    def fall(self, subscription: Subscription, cursor: int, why: Why) -> None:
        """Set a subscription behind: it needs what follows `cursor`."""
        self.leave(subscription)
        subscription.fall_behind(cursor, why)

    def set_behind(self, subscription: Subscription) -> None:
        """Set a subscription behind at what it has been sent.

        Frames of its siblings are not for it from now on, so the client is told; where it cannot be, the
        siblings fall behind too.
        """
        cursor = self._cursor
        self.fall(subscription, cursor, "asked")
        if not subscription.shares:
            return
        if subscription.subscriber.offer(self.wire.behind(subscription)):
            subscription.believed_live = False
        else:
            self._fall_together(subscription, cursor)

    def lose(self) -> list[Subscription]:
        """Send what gathered, then set everyone behind and forget them. Answers them.

        Amid a flush nobody can say who has it already, so all fall behind to where it started: a wire
        that resumes drops what comes twice, by version.
        """
        self.flush()
        cursor = self._cursor
        self._flush = None
        everyone = self.audience.everyone()
        for subscription in everyone:
            self.fall(subscription, cursor, "gap")
        self._wake()
        return everyone

    @property
    def _cursor(self) -> int:
        """Up to where everyone live has been sent for certain."""
        return self.sent if self._flush is None else self._started

    def _refuse(self, subscription: Subscription) -> None:
        if subscription.lane is not None:  # It may have stood for its siblings alone.
            self.fall(subscription, self._started, "full")
        self._fall_together(subscription, self._started)

    def _fall_together(self, subscription: Subscription, cursor: int) -> None:
        """Set its siblings behind too. The client takes a frame for all of them that it believes live, so
        none may be sent one as long as it does not know that another has missed something."""
        for one in subscription.siblings:
            if one.lane is not None:
                self.fall(one, cursor, "sibling")

    # --- what leaves ----------------------------------------------------------------------------------------

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
            self._flushes += 1
            self._flush = Flush(self.audience, frames, self._flushes, self._refuse)
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
            self._delivered(flush)
            self.flush()

    def _encode(self, one: Advance | Signal) -> Frame:
        """What travels of a change or a signal, and whom it concerns."""
        if isinstance(one, Signal):
            return Frame(one.item, NEWEST, self.wire.signal(self._feed, one))
        created = NEWEST if one.change.kind == "delete" else one.change.created
        return Frame(one.change.id, created, self.wire.change(one))
