"""The storage contract: what a store promises, in few verbs. Owns no policy and no I/O.

Rules that every store keeps (the conformance suite in `headwater.testing.storage` checks them):

- **Versions.** Every write that changes something gives its group the next version: 1, 2, 3 ... without gaps
  inside a group. A delete of what is not there and a rejected write change nothing and use up no version.
- **Units.** A unit is all or nothing. Its rejection is that of the first write that is rejected, with the
  write's place in `details["index"]`, and uses up no version, no key, no outbox entry. A delete of nothing
  rejects nothing. Units of one batch are independent of each other, and later ones see earlier ones. A write
  given alone is a unit of one. No user code runs inside beyond a write's `apply`.
- **Order.** Items have a creating version and are ordered by it; an item deleted and set again goes last.
- **Tombstones.** A delete leaves its id and version behind until `sweep` ages it out; the group's floor then
  rises to that version, and a reader that asks from below the floor is told to start over.
- **Epoch.** A random id of this line of history. A new one begins when continuity cannot be proven: an
  emptied store, a restored file, an unclean end where the last commits may be lost.
- **Base.** A group that holds nothing, not even tombstones, may be forgotten by `sweep`; the store-wide base
  then rises to at least its last version, and a group that the store does not know starts at the base. So no
  version is used twice within an epoch.
- **Durability.** When `commit` returns, a crash of the process loses none of it (a durable store).
- **Keys.** A write's key is kept with its group until it is as old as a tombstone may get; a write that
  repeats it does nothing. A rejected write, and a delete of nothing, keep no key.
  A unit's key is kept store-wide, equally long; a rejected unit, and one that changed and settled nothing,
  keep none.
- **Outbox.** A change whose write asked for it leaves an entry in the same commit, which stays until a unit
  settles it. A unit that settles what is settled is rejected with Conflict, so whatever an entry sets off is
  set off once, however many dispatchers there are.
- **No history.** A group whose first write says `history=False` has none: deletes leave no tombstone, and the
  floor rises to each at once, so who follows from below starts over. When a commit leaves it without items it
  is forgotten at once. A stream that ever had such a group has a base of its own, which begins at the
  store-wide one; so its forgotten groups raise nobody else's. Keys stay as long as all keys do.
- **Notices.** Changes that other processes made in the same place arrive by `listen`, for the groups that
  `follow` named. Notices may be lost (the last one too), doubled, delayed and reordered; the data in one is
  what that version was. So a receiver takes a notice that follows what it has, drops an older one, reads the
  store at a gap, and compares `heads` now and then. Changes committed through this instance may come as
  notices too. A store that one process owns has none (SQLite, memory).
- **Identity.** Groups and ids are compared exactly: `a` is not `ab`, and the same id in two groups is two
  items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Head, Item, OutboxEntry, Tombstone, Unit, Write


class Repeated(NamedTuple):
    """A write whose key was used before in its group; `change` is what became of the first. Nothing
    happened."""

    change: Change


class Committed(NamedTuple):
    """A unit that was committed, or whose key was used before: what became of each write, None for a delete
    of nothing. `repeated`: nothing happened; these are the first unit's changes, perhaps without origins."""

    changes: list[Change | None]
    repeated: bool = False


Outcome = Change | Repeated | HeadwaterError | None
"""What became of one write: the change, the change of the first write with its key, the error that rejected
it alone, or None (a delete of nothing)."""

UnitOutcome = Outcome | Committed
"""What became of a write given alone (an Outcome), or of a unit: Committed, or the error that rejected it."""

OnChanges = Callable[[Sequence[Change]], None]
"""Whoever hears of changes made elsewhere; called on the event loop, must not raise. An empty sequence tells
that notices may have been lost: compare the heads of all that is followed."""


class Due(NamedTuple):
    """An item whose time has come, and the version that it had then."""

    group: GroupKey
    id: str
    version: int


ENTRY_BYTES = 64
"""What an item or a tombstone counts in a page beside its data, so that many small ones end a page too."""


AHEAD_SECONDS = 60.0
"""How far stamps may lie in the future though no clock was set back: they never decrease, and run ahead a
little under a storm of writes."""


class Page(NamedTuple):
    """A stretch of one group's history, read at one moment.

    `items` and `tombstones` are those with versions in `(after, through]`, each in version order. `through`
    is the cursor of a reader who has applied the page; `complete` tells that this is the group's
    version as of the read, so nothing is left to read. `head` is where the group stood. From 0, tombstones
    are left out: a snapshot.

    An id appears once in a page, as what it is now: an item written twice with its last version, a deleted
    one as its tombstone, a deleted one that was set again as an item. (One that was deleted, set and deleted
    again while a reader pages may come as the first tombstone, and as the last in a later page.)
    """

    items: list[Item]
    tombstones: list[Tombstone]
    through: int
    complete: bool
    head: Head


class GroupInfo(NamedTuple):
    """One group in a listing: its id, how many items it holds, its last version."""

    group: str
    items: int
    version: int


class ScanCursor(NamedTuple):
    """Where a scan of a stream goes on: after the item of this group that was created at this version."""

    group: str
    created: int


BEGINNING = ScanCursor("", 0)
"""Where a scan begins."""


class Scan(NamedTuple):
    """A stretch of a stream's items by group id, within a group in the order of creation.

    `cursor` is where the next one begins; None: there is no more.
    """

    items: list[tuple[str, Item]]
    cursor: ScanCursor | None


class Store(Protocol):
    """Where state lives. One instance per process; its methods are called from one event loop."""

    @property
    def epoch(self) -> str:
        """The id of this line of history."""
        ...

    @property
    def stamp(self) -> float:
        """The highest v0 stamp (ms) committed before this process opened the store; 0.0 for none."""
        ...

    async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
        """Commit the units in order, in one durable transaction, and answer each.

        `stamp` (ms since 1970) is the time of the writes, by which their tombstones age; it never goes back.
        Without units it is kept alone, for `stamp` to tell. A unit's signals are not the store's.
        Called by one committer, one call at a time. Cancelling the call does not undo the commit.

        :raises StoreUnavailable: (or a subclass) none of the units was committed.
        """
        ...

    async def outbox(
        self, *, after: int = 0, limit: int = 1000, limit_bytes: int = 8 << 20
    ) -> list[OutboxEntry]:
        """The outbox entries with ids above `after`, the oldest first, at most `limit`.

        They are fewer once their data passes `limit_bytes`, but at least one if there is any. A dispatcher
        that has entries under way asks for those after them.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def get(self, group: GroupKey, item_id: str) -> Item | None:
        """One item, or None.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def read(self, group: GroupKey, *, after: int, limit_bytes: int, only: str | None = None) -> Page:
        """What changed after version `after`, oldest first; from 0 it is the snapshot.

        With `only`, the same for that one item id: at most one entry, `through` the group's version at that
        moment, `complete` always true. A subscriber of one item catches up with it.

        The page ends once it passes `limit_bytes`, each entry counting as its data plus ENTRY_BYTES, and
        holds at least one entry if there is any. `after` must not lie below the floor, except 0 and when
        paging on from 0: such a reader is below the floor while old items come, and is whole as long as the
        floor does not pass the group's version as of its first page. Check `page.head`: the store answers all
        the same.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def window(self, group: GroupKey, *, before: int | None, limit: int, limit_bytes: int) -> Page:
        """The newest `limit` items of a group, or of those created below version `before`, in creation order.

        They are fewer where a page would pass `limit_bytes` (see `read`). `tombstones` is empty, `through`
        the group's version at that moment, and `complete` tells that no item is older. Its cost does not grow
        with the group.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def heads(self, groups: Sequence[GroupKey]) -> list[Head]:
        """Where each of the groups stands, in the order asked.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def groups(self, stream: str, *, after: str = "", limit: int = 1000) -> list[GroupInfo]:
        """The groups of a stream that hold items, by group id, at most `limit`, those after `after`.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def scan(self, stream: str, *, after: ScanCursor = BEGINNING, limit_bytes: int) -> Scan:
        """All items of a stream, a stretch at a time: what a process that begins has to know of its work.

        A stretch ends once it passes `limit_bytes`, each item counting as its data plus ENTRY_BYTES, and
        holds at least one item if there is any. Items written between two stretches may be missed or come
        twice; those that nobody touches come once.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def due(self, *, now: float, limit: int = 1000) -> list[Due]:
        """The items that expired by wall time `now` (seconds), the earliest first, at most `limit`.

        :raises StoreUnavailable: the store cannot be read.
        """
        ...

    async def sweep(self, *, now: float, tombstone_age: float, limit: int = 1000) -> int:
        """Age out tombstones and keys older than `tombstone_age` seconds; forget groups that hold nothing
        more.

        `now` is wall time in seconds. The floor of a group rises to the last delete that went. At most
        `limit` of each go. Answers how many did, of whichever were more; a full `limit` means: call again.
        What was kept more than AHEAD_SECONDS after `now`, by a clock that ran ahead and was set back, ages
        from `now` on.

        :raises StoreUnavailable: the store cannot be written.
        """
        ...

    def listen(self, on_changes: OnChanges) -> None:
        """Give whoever hears of changes made elsewhere, instead of whoever was given before."""
        ...

    def follow(self, groups: Sequence[GroupKey]) -> None:
        """Begin to hear of these groups' changes made elsewhere, some time after the return. To follow a
        group twice is to follow it."""
        ...

    def unfollow(self, groups: Sequence[GroupKey]) -> None:
        """Hear no more of these groups, some time after the return."""
        ...

    async def close(self) -> None:
        """Settle what is under way and let go of the files. A store closed cleanly keeps its epoch."""
        ...
