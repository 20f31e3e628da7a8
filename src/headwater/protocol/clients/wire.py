"""What a feed needs of a wire version, and what it gives it. Owns the contract; a version is one codec that
keeps it.

What a client wishes, what happened, and the stretches of a catch-up travel in these types, which are the same
for every version. No I/O, no encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Item, Signal, Tombstone


class Cursor(NamedTuple):
    """A state that a client says it holds: WIRE.md section 1."""

    epoch: str
    version: int


class Brought(NamedTuple):
    """What a client holds already of what it wishes.

    `floor` is where its window begins (0: it holds everything), `more` the older items by which that window
    is to be extended at once.
    """

    cursor: Cursor
    floor: int = 0
    more: int = 0


class Wish(NamedTuple):
    """What a client wants to follow: a group, or one item of it.

    `label` is the client's own number for it, where the wire has such. `limit` is the size of its window,
    None for everything. `brought` is None where it holds nothing.
    """

    group: GroupKey
    item: str | None = None
    label: int = 0
    limit: int | None = None
    brought: Brought | None = None


class Stretch(NamedTuple):
    """A stretch of a group's history on its way to one subscription: what changed up to `through`.

    `items` and `tombstones` are in version order; `head` is where the group stood when it was read.
    """

    items: Sequence[Item]
    tombstones: Sequence[Tombstone]
    through: int
    head: int


class Advance(NamedTuple):
    """One committed change on its way through a feed.

    `feed` is the feed's number, unique in the process. `before` is the item's data before the change where
    the feed still holds it: a wire may then send the difference alone.
    """

    change: Change
    feed: int
    before: bytes | None


class CatchUpOf(Protocol):
    """What a wire needs to know of a subscription that catches up.

    `floor` is the creating version of its window's oldest item, 0 for everything.
    """

    wish: Wish
    floor: int


class CatchUpEncoder(Protocol):
    """Encodes one catch-up of one subscription. A wire version decides what travels when."""

    def reset(self, reason: str) -> bytes:
        """The subscription starts over, for one of the reasons of WIRE.md: frames that say so, or nothing."""
        ...

    def stretch(self, stretch: Stretch) -> bytes:
        """Take the next stretch; answers frames to send now, or nothing."""
        ...

    def older(self, stretch: Stretch) -> bytes:
        """Take older items of a window; answers frames to send now."""
        ...

    def complete(self) -> bytes:
        """Everything up to the last stretch is in: the frames that make the subscriber's state whole."""
        ...


class Wire(Protocol):
    """One wire version in one framing: turns what happens into wire-ready bytes, shared by its
    subscribers."""

    @property
    def resumes(self) -> bool:
        """Whether a subscription may catch up from a version of its own instead of from nothing."""
        ...

    def change(self, advance: Advance) -> bytes:
        """The frame of one committed change."""
        ...

    def signal(self, feed: int, signal: Signal) -> bytes:
        """The frame of one ephemeral event."""
        ...

    def error(self, of: CatchUpOf, error: HeadwaterError) -> bytes:
        """The frame that tells a subscription, which lives on, what went wrong with it."""
        ...

    def behind(self, of: CatchUpOf) -> bytes:
        """The frame that tells a subscription to take no live frames before it is whole again, or nothing."""
        ...

    def catch_up(self, of: CatchUpOf) -> CatchUpEncoder:
        """An encoder for one catch-up of a subscription."""
        ...
