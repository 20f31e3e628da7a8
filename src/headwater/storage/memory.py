"""A store in memory: real, complete, and gone with the process. Owns its groups; does no I/O.

It serves presence, tests and throw-away servers, and passes the same conformance suite as every store.
Nothing here awaits, so every verb is one atomic step of the event loop.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import NamedTuple

from headwater.errors import HeadwaterError, StoreUnavailable
from headwater.model import Change, GroupKey, Head, Item, Tombstone, Write
from headwater.storage.base import ENTRY_BYTES, Due, GroupInfo, Outcome, Page, Repeated
from headwater.storage.decide import check_names, data_after
from headwater.storage.newest import newest_of

_SLACK = 64
"""A group's history may hold this many stale entries more than live ones before it is rebuilt."""


class _Delete(NamedTuple):
    """One delete in the order of time, for ageing; `at` is wall time in seconds."""

    at: float
    group: GroupKey
    id: str
    version: int


class _Group:
    """One group: what each id is now, and in which order the ids were last written.

    `versions` and `ids` are the history in version order, searched by bisection. A write appends and leaves
    the id's earlier entry behind, stale: an entry counts only while it is the id's present version.
    """

    __slots__ = ("floor", "gone", "held", "ids", "keys", "version", "versions")

    def __init__(self, base: int) -> None:
        self.version = self.floor = base
        self.held: dict[str, Item] = {}
        """In creation order: an item that is written again keeps its place."""
        self.gone: dict[str, Tombstone] = {}
        self.versions: list[int] = []
        self.ids: list[str] = []
        self.keys: dict[str, Change] = {}

    def present(self, item_id: str) -> Item | Tombstone | None:
        return self.held.get(item_id) or self.gone.get(item_id)

    def note(self, item_id: str) -> None:
        """Append the id's present version to the history."""
        self.versions.append(self.version)
        self.ids.append(item_id)
        if len(self.ids) > 2 * (len(self.held) + len(self.gone)) + _SLACK:
            live = [(entry.version, entry.id) for entry in self.since(0)]
            self.versions = [version for version, _ in live]
            self.ids = [item_id for _, item_id in live]

    def since(self, after: int) -> Iterator[Item | Tombstone]:
        """What ids whose last write lies above `after` are now, in version order."""
        for index in range(bisect_right(self.versions, after), len(self.versions)):
            entry = self.present(self.ids[index])
            if entry is not None and entry.version == self.versions[index]:
                yield entry


class MemoryStore:
    """A Store that keeps everything in this process; see the contract for each verb."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(8)
        self._groups: dict[GroupKey, _Group] = {}
        self._deletes: deque[_Delete] = deque()
        self._expires: dict[tuple[GroupKey, str], float] = {}
        self._used: deque[tuple[float, _Group, str]] = deque()
        self._base = 0
        self._closed = False

    @property
    def epoch(self) -> str:
        """The id of this line of history: a new one for each store."""
        return self._epoch

    @property
    def stamp(self) -> float:
        """Always 0.0: nothing is older than the process."""
        return 0.0

    async def commit(self, writes: Sequence[Write], *, stamp: float) -> list[Outcome]:
        """See Store.commit."""
        self._check_open()
        return [self._outcome(write, stamp / 1000.0) for write in writes]

    async def get(self, group: GroupKey, item_id: str) -> Item | None:
        """See Store.get."""
        self._check_open()
        known = self._groups.get(group)
        return known.held.get(item_id) if known else None

    async def read(self, group: GroupKey, *, after: int, limit_bytes: int, only: str | None = None) -> Page:
        """See Store.read."""
        self._check_open()
        known = self._groups.get(group)
        if known is None:
            return Page([], [], self._base, True, Head(self._base, self._base))
        head = Head(known.version, known.floor)
        if only is not None:
            entry = known.present(only)
            found = [entry] if entry is not None and entry.version > after else []
            return _page(found, head.version, head, snapshot=after == 0)
        entries: list[Item | Tombstone] = []
        size = 0
        for entry in known.since(after):
            if size > limit_bytes:
                return _page(entries, entries[-1].version, head, snapshot=after == 0)
            if after == 0 and isinstance(entry, Tombstone):
                continue
            size += ENTRY_BYTES + (len(entry.data) if isinstance(entry, Item) else 0)
            entries.append(entry)
        return _page(entries, head.version, head, snapshot=after == 0)

    async def window(self, group: GroupKey, *, before: int | None, limit: int, limit_bytes: int) -> Page:
        """See Store.window."""
        self._check_open()
        known = self._groups.get(group)
        if known is None:
            return Page([], [], self._base, True, Head(self._base, self._base))
        below = known.version + 1 if before is None else before
        older = (item for item in reversed(known.held.values()) if item.created < below)
        newest, complete = newest_of(older, limit, limit_bytes)
        return Page(newest, [], known.version, complete, Head(known.version, known.floor))

    async def heads(self, groups: Sequence[GroupKey]) -> list[Head]:
        """See Store.heads."""
        self._check_open()
        unknown = Head(self._base, self._base)
        found = (self._groups.get(group) for group in groups)
        return [Head(known.version, known.floor) if known else unknown for known in found]

    async def groups(self, stream: str, *, after: str = "", limit: int = 1000) -> list[GroupInfo]:
        """See Store.groups."""
        self._check_open()
        named = sorted(key.group for key in self._groups if key.stream == stream and key.group > after)
        known = ((name, self._groups[GroupKey(stream, name)]) for name in named)
        return [GroupInfo(name, len(group.held), group.version) for name, group in known if group.held][
            :limit
        ]

    async def due(self, *, now: float, limit: int = 1000) -> list[Due]:
        """See Store.due."""
        self._check_open()
        past = [(at, where) for where, at in self._expires.items() if at <= now]
        found: list[Due] = []
        for _, (group, item_id) in nsmallest(limit, past):
            found.append(Due(group, item_id, self._groups[group].held[item_id].version))
        return found

    async def sweep(self, *, now: float, tombstone_age: float, limit: int = 1000) -> int:
        """See Store.sweep."""
        self._check_open()
        swept = 0
        while swept < limit and self._deletes and self._deletes[0].at <= now - tombstone_age:
            self._age_out(self._deletes.popleft())
            swept += 1
        keys = 0
        while keys < limit and self._used and self._used[0][0] <= now - tombstone_age:
            _, group, key = self._used.popleft()
            del group.keys[key]
            keys += 1
        return max(swept, keys)

    async def close(self) -> None:
        """See Store.close. What was stored is gone."""
        self._closed = True
        self._groups.clear()
        self._deletes.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed.")

    def _outcome(self, write: Write, at: float) -> Outcome:
        try:
            check_names(write)
            known = self._groups.get(write.group)
            first = known.keys.get(write.key) if known and write.key is not None else None
            if first is not None:
                return Repeated(first)
            before = known.held.get(write.id) if known else None
            data = data_after(write, before.version if before else 0, before.data if before else None)
        except HeadwaterError as rejection:
            return rejection
        if data is None:
            change = self._delete(write, before, at) if before else None
        else:
            change = self._put(write, before, data)
        if change is not None:
            self._remember(write, change, at)
        return change

    def _remember(self, write: Write, change: Change, at: float) -> None:
        """Keep what goes with a write beside its item: when it is due, and its key."""
        where = (write.group, write.id)
        if write.kind != "update" or change.kind == "create":
            self._expires.pop(where, None)
            if write.expires is not None and write.kind != "delete":
                self._expires[where] = write.expires
        if write.key is not None:
            group = self._groups[write.group]
            group.keys[write.key] = change
            self._used.append((at, group, write.key))

    def _put(self, write: Write, before: Item | None, data: bytes) -> Change:
        group = self._groups.get(write.group)
        if group is None:
            group = self._groups[write.group] = _Group(self._base)
        group.version += 1
        created = before.created if before else group.version
        group.gone.pop(write.id, None)
        group.held[write.id] = Item(write.id, data, group.version, created)
        group.note(write.id)
        kind = "update" if before else "create"
        return Change(write.group, write.id, kind, group.version, created, data, write.origin)

    def _delete(self, write: Write, before: Item, at: float) -> Change:
        group = self._groups[write.group]
        group.version += 1
        del group.held[write.id]
        group.gone[write.id] = Tombstone(write.id, group.version)
        group.note(write.id)
        self._deletes.append(_Delete(at, write.group, write.id, group.version))
        return Change(
            write.group, write.id, "delete", group.version, before.created, before.data, write.origin
        )

    def _age_out(self, delete: _Delete) -> None:
        """Drop a tombstone, if the id was not written since, and a group that holds nothing more."""
        group = self._groups[delete.group]
        group.floor = delete.version
        tombstone = group.gone.get(delete.id)
        if tombstone is not None and tombstone.version == delete.version:
            del group.gone[delete.id]
        if not group.held and not group.gone:
            self._base = max(self._base, group.version)
            del self._groups[delete.group]


def _page(entries: list[Item | Tombstone], through: int, head: Head, *, snapshot: bool) -> Page:
    items = [entry for entry in entries if isinstance(entry, Item)]
    gone = [] if snapshot else [entry for entry in entries if isinstance(entry, Tombstone)]
    return Page(items, gone, through, through == head.version, head)
