"""WebSocket text frames, as bytes. Owns the server-side framing of RFC 6455 section 5.2 for outbound
messages.

Inbound framing, masking and the handshake belong to the `websockets` library. Outbound frames are built here
because one frame is encoded once and shared by every subscriber of a room. No I/O, no protocol meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Item, Tombstone

_TEXT_FINAL = 0x81  # FIN and opcode 1, RFC 6455 section 5.2
_LENGTH_16 = 126
_LENGTH_64 = 127


def text_frame(payload: bytes) -> bytes:
    """One unmasked, final text frame that carries `payload` (UTF-8)."""
    size = len(payload)
    if size < _LENGTH_16:
        return bytes((_TEXT_FINAL, size)) + payload
    if size < 1 << 16:
        return bytes((_TEXT_FINAL, _LENGTH_16)) + size.to_bytes(2, "big") + payload
    return bytes((_TEXT_FINAL, _LENGTH_64)) + size.to_bytes(8, "big") + payload


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

    `label` is the client's number for it. `limit` is the size of its window, None for all; `floor` the
    creating version of the window's oldest item, 0 for all.
    """

    group: GroupKey
    item: str | None
    label: int
    limit: int | None
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

    def event(self, feed: int, group: GroupKey, item: str | None, event: bytes) -> bytes:
        """The frame of one ephemeral event, given as the JSON text of `{"type", "data"}`."""
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
