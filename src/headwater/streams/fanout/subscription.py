"""One subscription: what a subscriber wants of one group, and how far it has come. No I/O, no wire.

A subscription is in one of two modes. *Live*: it has been sent everything that its lane has sent, so it needs
no cursor of its own. *Behind*: it needs what changed after `cursor`. Only `lane.py` makes it live, only a
catch-up leads there, and whatever goes wrong sets it behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from headwater.model import GroupKey, Subscriber
from headwater.protocol.clients.wire import Wire


class Subscription:
    """What one subscriber wants of one group: the whole group (`item` None) or one item of it."""

    __slots__ = (
        "again",
        "begun",
        "closed",
        "cursor",
        "epoch",
        "floor",
        "group",
        "item",
        "label",
        "limit",
        "live",
        "older",
        "reading",
        "retry",
        "seen",
        "shown",
        "siblings",
        "since",
        "subscriber",
        "whole",
        "wire",
        "working",
    )

    def __init__(self, subscriber: Subscriber, wire: Wire, group: GroupKey, item: str | None) -> None:
        self.subscriber = subscriber
        self.wire = wire
        self.group = group
        self.item = item
        self.label = 0
        """The client's own number for it, where the wire has such."""
        self.limit: int | None = None
        """The size of its window; None is no window, but everything."""
        self.floor = 0
        """The creating version of its window's oldest item; 0 is everything."""
        self.older = 0
        """Older items that were asked for and not sent yet."""
        self.epoch: str | None = None
        """The epoch of `cursor`, where the client brought one; None is the store's own."""
        self.live = False
        self.closed = False
        self.cursor = 0
        """Behind: the version after which changes are needed. Live: meaningless."""
        self.reading = 0
        """Behind: the version from which a catch-up under way reads on."""
        self.begun = 0
        """The group's version when its snapshot was begun: deletes up to there are in it, whether they are
        remembered or not. 0 where the client brought a cursor."""
        self.seen = 0
        """Behind: the newest version as of which pages were read; it is not whole below that, for what was
        written up to there is in none of the pages before its own."""
        self.since = 0
        """Live: the lane's turn at which it became live."""
        self.working = False
        """A catch-up of it is under way."""
        self.again = False
        """It was asked to start over while a catch-up was under way."""
        self.retry = 0
        """Catch-ups that failed in a row because the store could not be read."""
        self.siblings: Sequence[Subscription] = ()
        """All subscriptions of its subscriber to this group, itself among them, where the wire lets them
        share frames: what reaches one reaches all."""
        self.shown = False
        """The client takes live frames for it, until it is told that it is behind."""
        self.whole: Subscription | None = None
        """The same subscriber's subscription to the whole group, if any: while that one is live, this one
        stays silent, so that a socket gets one frame per change."""

    def fall_behind(self, cursor: int) -> None:
        """Needs what changed after `cursor` from now on; a wire that cannot resume starts over."""
        self.live = False
        self.cursor = self.reading = cursor if self.wire.resumes else 0

    def advance(self, through: int) -> None:
        """A catch-up has sent what changed up to `through`; a wire that cannot resume has sent nothing
        yet."""
        self.reading = through
        if self.wire.resumes:
            self.cursor = through

    @property
    def shares(self) -> bool:
        """Whether its frames are shared with siblings."""
        return len(self.siblings) > 1

    def wants(self, item: str | None, created: int) -> bool:
        """Whether a frame about an item (None: the group) created at a version is for it."""
        return created >= self.floor if self.item is None else self.item == item

    @property
    def silent(self) -> bool:
        """Whether the subscriber gets this item's frames through its subscription to the whole group."""
        return self.whole is not None and self.whole.live
