"""The vocabulary that every layer shares: keys, items, changes, writes, subscribers.

Owns the frozen types and nothing else: no I/O, no clocks, no knowledge of any layer above. The types that
are made once per write or per change are NamedTuples, because a frozen dataclass costs three times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

ChangeKind = Literal["create", "update", "delete"]
MAX_REASON_BYTES = 1024
"""What an outbox entry's reason may have: the name of a step and a little more."""
WriteKind = Literal["set", "update", "delete"]


class GroupKey(NamedTuple):
    """One group of one stream. Both names are any non-empty text."""

    stream: str
    group: str


class Origin(NamedTuple):
    """Who made a write: the step's name and the trace id of the invocation, which may be empty, and how many
    reactions led to it. `auth` is the context of whoever's request caused it, as JSON text. `links` counts
    the events that led to it, each emitted by the handler of the one before."""

    step: str = ""
    trace: str = ""
    depth: int = 0
    auth: bytes | None = None
    links: int = 0


class Trace(NamedTuple):
    """Where a request stands among those that belong together: W3C's trace id (32 hex digits), and the
    caller's span that it continues (16 hex digits; empty where it begins here)."""

    id: str
    parent: str = ""


class Terms(NamedTuple):
    """On what terms a write is made.

    `if_version`: the version that the item must have (0: it must not exist). `ttl`: seconds after which it
    expires, for a set. `key`: a text that makes the write idempotent within its group. `if_exists`: an update
    of what is not there does nothing, and makes no item.
    """

    if_version: int | None = None
    ttl: float | None = None
    key: str | None = None
    if_exists: bool = False


PLAIN = Terms()
"""No terms: whatever the version, for as long as the stream says, each time anew."""


class Item(NamedTuple):
    """One stored item.

    `data` is the UTF-8 JSON text of an object and always holds the item's `id` as its member "id".
    `version` is the group version of the last write; `created` the group version that created it, by which
    items are ordered everywhere.
    """

    id: str
    data: bytes
    version: int
    created: int


class Tombstone(NamedTuple):
    """What is left of a deleted item: its id and the group version of the delete."""

    id: str
    version: int


class Change(NamedTuple):
    """One committed write, as the store answers it.

    `data` is the item after the write, or for a delete the item as it was. `created` is the creating version
    of the item. `version` is the group's version that this change is. `delta` is what led here from the item
    before, as a JSON list of operations of the wire, where an update has told it; a store tells none.
    """

    group: GroupKey
    id: str
    kind: ChangeKind
    version: int
    created: int
    data: bytes
    origin: Origin = Origin()
    delta: bytes | None = None


class Signal(NamedTuple):
    """An ephemeral event on its way to who is live.

    `body` is the JSON text of `{"type", "data"}`. `item` None is for the whole group. It has no version and
    is never replayed; steps of type `event` have nothing to do with it.
    """

    group: GroupKey
    item: str | None
    body: bytes


class Write(NamedTuple):
    """One write to commit.

    - `set` needs `data` (UTF-8 JSON object text holding "id").
    - `update` needs `apply`: a pure function from the item's data (None: there is no such item) to its new
      data. The store calls it inside its transaction, perhaps more than once; a HeadwaterError it raises
      rejects this write alone.
    - `delete` needs neither.

    `if_version`, when given, must equal the item's current version (0: the item must not exist), else the
    write is rejected with `Conflict`.

    `expires` is the wall time (seconds) at which the item is due to go; a `set` without it lasts, and an
    `update` gives it only to an item that it creates. `key`, when given, makes the write idempotent: one that
    repeats a key of its group does nothing and is answered with what became of the first.

    `outbox`, when given, asks for an outbox entry that is committed together with the change, and is the
    entry's `reason`: a few bytes (at most MAX_REASON_BYTES) that mean something to the asker alone.

    `if_exists` makes an update of an item that is not there do nothing, whatever its version was to be: its
    outcome is that of a delete of nothing.

    `delta`, when given, tells after `apply` what that has changed; see Change.

    `history` False writes without one: no catch-up stretches over a delete, because none leaves a tombstone.
    It counts when the write makes its group, which stays as it began until it is forgotten.
    """

    group: GroupKey
    id: str
    kind: WriteKind
    data: bytes = b""
    apply: Callable[[bytes | None], bytes] | None = None
    if_version: int | None = None
    origin: Origin = Origin()
    expires: float | None = None
    key: str | None = None
    outbox: bytes | None = None
    history: bool = True
    if_exists: bool = False
    delta: Callable[[], bytes | None] | None = None


class PlacedSignal(NamedTuple):
    """A signal of a unit, and how many of the unit's writes come before it."""

    writes_before: int
    signal: Signal


class Unit(NamedTuple):
    """What commits together, all or nothing: one rejected write rejects all of them.

    A later write sees the earlier ones, also of the same item. `signals` are published if the unit commits,
    in the order of their `writes_before`. `key` makes the unit idempotent, as a write's key does, but counts
    in the whole store: whoever makes units for different reasons gives their keys different beginnings. The
    writes of a unit carry no key of their own. `settles` are ids of outbox entries that are removed with it;
    one that is gone already rejects the unit.
    """

    writes: Sequence[Write]
    signals: Sequence[PlacedSignal] = ()
    key: str | None = None
    settles: Sequence[int] = ()


class OutboxEntry(NamedTuple):
    """What a write that asked for it set off, until a unit settles it.

    `before` and `after` are the item's data around the change, None where there was or is no item. `id` rises
    with the order of commits and is never used twice within an epoch; `reason` is what the write gave.
    """

    id: int
    group: GroupKey
    item: str
    kind: ChangeKind
    version: int
    before: bytes | None
    after: bytes | None
    origin: Origin
    reason: bytes


class Head(NamedTuple):
    """Where a group stands: its last version (the store's base for a group that holds nothing, see the
    storage contract), and the least version from which a catch-up is still possible (older ones need a
    reset, because tombstones have aged out)."""

    version: int
    floor: int


class Outlet(Protocol):
    """Something that takes bytes always, as an asyncio transport does."""

    def write(self, data: bytes) -> None:
        """Take bytes, without waiting."""
        ...


class Subscriber(Protocol):
    """Whoever frames are offered to: a WebSocket connection, an SSE response, a test.

    This is the only way back up: a feed calls it and never learns what stands behind it.
    """

    def offer(self, frames: bytes) -> bool:
        """Take wire-ready frames, whole or not at all, without waiting.

        Answers False when nothing was taken because the subscriber `is_full`: the feed then sets it behind,
        and it asks for a catch-up itself once it has drained.
        """
        ...

    @property
    def is_full(self) -> bool:
        """Whether it holds as many unsent bytes as it may."""
        ...

    @property
    def outlet(self) -> Outlet | None:
        """Where live frames may be written without asking each time, for a subscriber that says itself when
        it is full; None for one that wants to be asked.

        Whoever owns a subscriber with an outlet tells the hub when `is_full` becomes true, and nothing is
        written from then on until it has told that it is false again.
        """
        ...
