"""One subscription: what a subscriber wants of one group, and how far it has come. A state machine; no I/O,
no wire.

`NEXT` is all that can become of it:

- *behind*: it needs what changed after its cursor, and nothing is under way. Its subscriber is full, or the
  store could not be read. It is asked again when the subscriber has drained, or after a moment.
- *waiting*: it may catch up as soon as others of its subscriber have.
- *catching up*: pages are read and sent.
- *live*: it has been sent everything that its lane has sent, so it needs no cursor of its own.
- *closed*: its client has ended it, or is gone. Nothing is offered for it any more.

It holds its feed, while it is live its lane, and while it is not its lag. Only `lane.py` makes it live, only
a catch-up leads there, and whatever goes wrong sets it behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from headwater.model import Subscriber
from headwater.observe import Why
from headwater.protocol.clients.wire import Brought, Wire, Wish

if TYPE_CHECKING:
    from headwater.streams.fanout.feed import Feed
    from headwater.streams.fanout.lane import Lane


class Recovers(Protocol):
    """What brings subscriptions, and feeds, back from behind."""

    max_window: int
    """Most items that a window grows by at once."""

    def catch_up(self, subscription: Subscription) -> None:
        """Let a subscription that waits catch up, now or when it may."""
        ...

    def forget(self, subscription: Subscription) -> None:
        """A subscription has ended."""
        ...

    def mend(self, feed: Feed) -> None:
        """Bring a feed forward that lags behind the store."""
        ...


State = Literal["behind", "waiting", "catching up", "live", "closed"]
Event = Literal["resume", "start", "complete", "stop", "miss", "end"]
"""`stop`: a catch-up ended before it was complete. `miss`: something was not sent to it."""

NEXT: Mapping[State, Mapping[Event, State]] = {
    "behind": {"resume": "waiting", "end": "closed"},
    "waiting": {"start": "catching up", "end": "closed"},
    "catching up": {"complete": "live", "stop": "behind", "end": "closed"},
    "live": {"miss": "behind", "end": "closed"},
    "closed": {},
}


class Lag:
    """How far a subscription that is not live has come, over all catch-ups until it is."""

    __slots__ = ("cursor", "epoch", "failures", "first_read", "newest_read", "older", "read_through")

    def __init__(self, cursor: int, *, epoch: str | None = None, older: int = 0) -> None:
        self.cursor = cursor
        """The version after which changes are needed."""
        self.epoch = epoch
        """The epoch of `cursor`, where the client brought one; None is the store's own."""
        self.read_through = cursor
        """The version from which a catch-up under way reads on. It is ahead of the cursor where the wire
        cannot resume: nothing is sent then before all is read."""
        self.first_read = 0
        """The group's version as of the first page of its snapshot: deletes up to there are in it, whether
        they are remembered or not. 0 where the client brought a cursor."""
        self.newest_read = 0
        """The newest version as of which pages were read. It is not whole below that, for what was written up
        to there is in none of the pages before its own."""
        self.older = older
        """Older items that were asked for and not sent yet."""
        self.failures = 0
        """Catch-ups in a row for which the store could not be read."""


class Subscription:
    """What one subscriber wants of one group: the whole group, a window of it, or one item."""

    __slots__ = (
        "believed_live",
        "entered_at",
        "feed",
        "floor",
        "lag",
        "lane",
        "siblings",
        "speaker",
        "state",
        "subscriber",
        "wire",
        "wish",
    )

    def __init__(self, subscriber: Subscriber, wire: Wire, wish: Wish, feed: Feed) -> None:
        """One that is behind, with what its client has brought. `resume` begins its first catch-up."""
        brought = wish.brought
        self.subscriber = subscriber
        self.wire = wire
        self.wish = wish if brought is None else wish._replace(brought=None)
        self.feed = feed
        self.state: State = "behind"
        self.lane: Lane | None = None
        """Live: where its frames come from."""
        self.lag: Lag | None = _lag(brought)
        """Not live: what it needs."""
        self.floor = brought.floor if brought else 0
        """The creating version of its window's oldest item; 0 is everything."""
        self.entered_at = 0
        """Live: the number of the lane's last flush when it became live."""
        self.believed_live = False
        """The client takes live frames for it, until it is told that it is behind."""
        self.siblings: Sequence[Subscription] = ()
        """All subscriptions of its subscriber to this group, itself among them, where the wire lets them
        share frames: what reaches one reaches all."""
        self.speaker: Subscription | None = None
        """The same subscriber's subscription to the whole group, if it has another: while that one is live,
        this one gets its frames through it, so that a socket gets one frame per change."""

    def move(self, event: Event) -> None:
        """Something has happened to it.

        :raises KeyError: that cannot happen in its state.
        """
        self.state = NEXT[self.state][event]

    @property
    def live(self) -> bool:
        """Whether it has been sent everything."""
        return self.lane is not None

    # --- what its client does -------------------------------------------------------------------------------

    def filled(self) -> None:
        """Its subscriber is full: it gets nothing until it is resumed."""
        if self.lane is not None:
            self.lane.audience.filled(self)

    def resume(self) -> None:
        """Its subscriber can take more: catch up, unless that is under way or there is no need."""
        if not self.wire.resumes and not self.subscriber.is_full:
            self.feed.snapshots.read(self)
        if self.lane is not None:
            self.lane.audience.drained(self)
        elif self.state == "behind":
            self.move("resume")
            self.feed.recovery.catch_up(self)

    def restart(self) -> None:
        """Its client wants all of it again. What a wire that cannot resume sends at the end of a catch-up is
        all of it, so one that is not live needs nothing but that."""
        if self.lane is not None:
            self.lane.fall(self, 0, "asked")
            self.resume()

    def more(self, limit: int, floor: int = 0) -> None:
        """Extend its window by so many older items than those from `floor` on: its client may have dropped
        the oldest. It is behind until it has them."""
        was_live = self.lane is not None
        if self.lane is not None:
            self.lane.set_behind(self)
        self.floor = max(self.floor, floor)
        if self.lag is not None:
            most = self.feed.recovery.max_window
            if self.lag.older + limit > most:
                self.feed.observer.limited("streams.max_window", most)
            self.lag.older = min(self.lag.older + limit, most)
        if was_live:
            self.resume()

    def has_sibling(self) -> None:
        """It shares its frames with siblings from now on."""
        if self.lane is not None:
            self.lane.audience.sort_again(self)

    def end(self) -> None:
        """No frame is offered for it after this."""
        if self.state != "closed":
            self.feed.observer.unsubscribed(self.feed.group, self.lane is not None)
            self.move("end")
            self.feed.remove(self)

    # --- what becomes of it ---------------------------------------------------------------------------------

    def enter(self, lane: Lane, flush: int) -> None:
        """It is live: a catch-up has sent it everything that the lane has sent, up to a flush."""
        self.move("complete")
        self.lane, self.lag = lane, None
        self.believed_live = True
        self.entered_at = flush
        self.feed.observer.live(self.feed.group)

    def fall_behind(self, cursor: int, why: Why) -> None:
        """It needs what follows `cursor`; a wire that cannot resume starts over."""
        self.move("miss")
        self.lane = None
        self.lag = Lag(cursor if self.wire.resumes else 0)
        self.feed.observer.behind(self.feed.group, why)

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def shares(self) -> bool:
        """Whether its frames are shared with siblings."""
        return len(self.siblings) > 1

    def wants(self, item: str | None, created: int) -> bool:
        """Whether a frame about an item (None: the group) created at a version is for it."""
        return created >= self.floor if self.wish.item is None else self.wish.item == item


def _lag(brought: Brought | None) -> Lag:
    if brought is None:
        return Lag(0)
    return Lag(brought.cursor.version, epoch=brought.cursor.epoch, older=brought.more)
