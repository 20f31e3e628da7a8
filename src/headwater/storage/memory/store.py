"""A store in memory: real, complete, and gone with the process. Owns its groups; does no I/O.

It serves presence, tests and throw-away servers, and passes the same conformance suite as every store.
Nothing here awaits, so every verb is one atomic step of the event loop.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from headwater.errors import HeadwaterError, StoreUnavailable
from headwater.model import Change, GroupKey, Head, Item, OutboxEntry, Tombstone, Unit, Write
from headwater.storage.base import (
    AHEAD_SECONDS,
    BEGINNING,
    ENTRY_BYTES,
    Committed,
    Due,
    GroupInfo,
    OnChanges,
    Outcome,
    Page,
    Repeated,
    Scan,
    ScanCursor,
    UnitOutcome,
)
from headwater.storage.decide import (
    NOTHING,
    Found,
    already_settled,
    check_unit,
    check_write,
    data_after,
    unit_after,
)
from headwater.storage.memory.expiring import Expiring
from headwater.storage.memory.group import Group
from headwater.storage.memory.outbox import Outbox
from headwater.storage.newest import newest_of

_UNITS = GroupKey("", "")
"""Under which the keys of units are kept. No group has an empty name."""

_Key = tuple[GroupKey, str]


class _Delete(NamedTuple):
    """One delete in the order of time, for ageing; `at` is wall time in seconds."""

    at: float
    group: GroupKey
    id: str
    version: int


def _nobody() -> None:
    """Nobody is told."""


class MemoryStore:
    """A Store that keeps everything in this process; see the contract for each verb."""

    def __init__(self, most_deletes: int | None = None, forgetting: Callable[[], None] = _nobody) -> None:
        """Above `most_deletes` the oldest deletes are forgotten, however young, and `forgetting` is told."""
        self._most_deletes = most_deletes
        self._forgetting = forgetting
        self._epoch = secrets.token_hex(8)
        self._groups: dict[GroupKey, Group] = {}
        self._names: dict[str, list[str]] = {}
        """The groups of a stream in order, made when asked for and dropped when they change."""
        self._deletes: deque[_Delete] = deque()
        self._expiring = Expiring()
        self._keys: dict[_Key, list[Change | None]] = {}
        self._used: deque[tuple[float, _Key]] = deque()
        self._outbox = Outbox()
        self._base = 0
        self._bases: dict[str, int] = {}
        """Of streams that ever had a group without history."""
        self._emptied: set[GroupKey] = set()
        """Groups without history that the commit under way left without items."""
        self._closed = False

    @property
    def epoch(self) -> str:
        """The id of this line of history: a new one for each store."""
        return self._epoch

    @property
    def deletes(self) -> int:
        """How many deletes are remembered."""
        return len(self._deletes)

    @property
    def stamp(self) -> float:
        """Always 0.0: nothing is older than the process."""
        return 0.0

    async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
        """See Store.commit."""
        self._check_open()
        at = stamp / 1000.0
        outcomes = [
            self._outcome(unit, at) if isinstance(unit, Write) else self._unit_outcome(unit, at)
            for unit in units
        ]
        if self._emptied:
            self._forget_emptied()
        if self._most_deletes is not None and len(self._deletes) > self._most_deletes:
            self._forgetting()
            while len(self._deletes) > self._most_deletes:
                self._age_out(self._deletes.popleft())
        return outcomes

    async def outbox(
        self, *, after: int = 0, limit: int = 1000, limit_bytes: int = 8 << 20
    ) -> list[OutboxEntry]:
        """See Store.outbox."""
        self._check_open()
        return self._outbox.read(after, limit, limit_bytes)

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
            head = self._unknown(group)
            return Page([], [], head.version, True, head)
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
        if (known := self._groups.get(group)) is None:
            head = self._unknown(group)
            return Page([], [], head.version, True, head)
        below = known.version + 1 if before is None else before
        older = (item for item in reversed(known.held.values()) if item.created < below)
        newest, complete = newest_of(older, limit, limit_bytes)
        return Page(newest, [], known.version, complete, Head(known.version, known.floor))

    async def heads(self, groups: Sequence[GroupKey]) -> list[Head]:
        """See Store.heads."""
        self._check_open()
        found = ((group, self._groups.get(group)) for group in groups)
        return [Head(known.version, known.floor) if known else self._unknown(group) for group, known in found]

    async def groups(self, stream: str, *, after: str = "", limit: int = 1000) -> list[GroupInfo]:
        """See Store.groups."""
        self._check_open()
        known = ((name, self._groups[GroupKey(stream, name)]) for name in self._after(stream, after))
        listed = (GroupInfo(name, len(group.held), group.version) for name, group in known if group.held)
        return list(islice(listed, limit))

    async def scan(self, stream: str, *, after: ScanCursor = BEGINNING, limit_bytes: int) -> Scan:
        """See Store.scan."""
        self._check_open()
        found: list[tuple[str, Item]] = []
        size = 0
        for name, item in self._items_of(stream, after):
            if size > limit_bytes:
                last, before = found[-1]
                return Scan(found, ScanCursor(last, before.created))
            found.append((name, item))
            size += ENTRY_BYTES + len(item.data)
        return Scan(found, None)

    async def due(self, *, now: float, limit: int = 1000) -> list[Due]:
        """See Store.due."""
        self._check_open()
        return [
            Due(group, item_id, self._groups[group].held[item_id].version)
            for group, item_id in self._expiring.due(now, limit)
        ]

    async def sweep(self, *, now: float, tombstone_age: float, limit: int = 1000) -> int:
        """See Store.sweep."""
        self._check_open()
        self._bring_back(now)
        swept = 0
        while swept < limit and self._deletes and self._deletes[0].at <= now - tombstone_age:
            self._age_out(self._deletes.popleft())
            swept += 1
        keys = 0
        while keys < limit and self._used and self._used[0][0] <= now - tombstone_age:
            _, key = self._used.popleft()
            del self._keys[key]
            keys += 1
        return max(swept, keys)

    def _bring_back(self, now: float) -> None:
        """Let what lies in the future age from now on. Times never decrease, so it is the last ones."""
        ahead = now + AHEAD_SECONDS
        for index in range(len(self._deletes) - 1, -1, -1):
            if self._deletes[index].at <= ahead:
                break
            self._deletes[index] = self._deletes[index]._replace(at=now)
        for index in range(len(self._used) - 1, -1, -1):
            if self._used[index][0] <= ahead:
                break
            self._used[index] = (now, self._used[index][1])

    def listen(self, on_changes: OnChanges) -> None:
        """See Store.listen. Nobody else has this memory, so no change is made elsewhere."""

    def follow(self, groups: Sequence[GroupKey]) -> None:
        """See Store.follow. There is nothing to do."""

    def unfollow(self, groups: Sequence[GroupKey]) -> None:
        """See Store.unfollow. There is nothing to do."""

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
            check_write(write)
            key = None if write.key is None else (write.group, write.key)
            if key is not None and key in self._keys:
                return _repeated(self._keys[key])
            known = self._groups.get(write.group)
            before = known.held.get(write.id) if known else None
            data = data_after(write, before.version if before else 0, before.data if before else None)
        except HeadwaterError as rejection:
            return rejection
        change = self._do(write, known, before, data, at)
        if change is not None and key is not None:
            self._keep(key, [change], at)
        return change

    def _unit_outcome(self, unit: Unit, at: float) -> UnitOutcome:
        try:
            check_unit(unit)
            key = None if unit.key is None else (_UNITS, unit.key)
            if key is not None and key in self._keys:
                return Committed([*self._keys[key]], repeated=True)
            if (missing := self._outbox.missing(unit.settles)) is not None:
                return already_settled(missing)
            after = unit_after(unit.writes, self._find, self._version_of)
        except HeadwaterError as rejection:
            return rejection
        changes = [self._do_next(write, data, at) for write, data in zip(unit.writes, after, strict=True)]
        self._outbox.settle(unit.settles)
        if key is not None and (unit.settles or any(changes)):
            self._keep(key, changes, at)
        return Committed(changes)

    def _find(self, write: Write) -> Found:
        known = self._groups.get(write.group)
        item = known.held.get(write.id) if known else None
        return Found(True, item.version, item.data) if item else NOTHING

    def _version_of(self, key: GroupKey) -> int:
        known = self._groups.get(key)
        return known.version if known else self._unknown(key).version

    def _unknown(self, key: GroupKey) -> Head:
        base = self._bases.get(key.stream, self._base)
        return Head(base, base)

    def _do_next(self, write: Write, data: bytes | None, at: float) -> Change | None:
        known = self._groups.get(write.group)
        return self._do(write, known, known.held.get(write.id) if known else None, data, at)

    def _do(
        self, write: Write, known: Group | None, before: Item | None, data: bytes | None, at: float
    ) -> Change | None:
        """Do a write that is not rejected, of an item that is `before` in a group."""
        if data is not None:
            change = self._put(write, known or self._make(write), before, data)
        elif known is not None and before is not None:
            change = self._delete(write, known, before, at)
        else:
            return None
        if (write.expires is not None or self._expiring) and (write.kind != "update" or before is None):
            self._expiring.put((write.group, write.id), None if data is None else write.expires)
        if write.outbox is not None:
            self._outbox.add(change, before.data if before else None, write.outbox)
        return change

    def _keep(self, key: _Key, changes: list[Change | None], at: float) -> None:
        self._keys[key] = changes
        self._used.append((at, key))

    def _put(self, write: Write, group: Group, before: Item | None, data: bytes) -> Change:
        group.version += 1
        created = before.created if before else group.version
        group.gone.pop(write.id, None)
        group.held[write.id] = Item(write.id, data, group.version, created)
        group.note(write.id)
        kind = "update" if before else "create"
        return Change(write.group, write.id, kind, group.version, created, data, write.origin)

    def _make(self, write: Write) -> Group:
        key = write.group
        base = self._unknown(key).version
        if not write.history:
            self._bases.setdefault(key.stream, base)
        group = self._groups[key] = Group(base, history=write.history)
        self._names.pop(key.stream, None)
        return group

    def _delete(self, write: Write, group: Group, before: Item, at: float) -> Change:
        group.version += 1
        del group.held[write.id]
        if group.history:
            group.gone[write.id] = Tombstone(write.id, group.version)
            group.note(write.id)
            self._deletes.append(_Delete(at, write.group, write.id, group.version))
        else:
            group.floor = group.version
            if not group.held:
                self._emptied.add(write.group)
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
            self._forget(delete.group)

    def _forget_emptied(self) -> None:
        for key in self._emptied:
            if not self._groups[key].held:
                self._forget(key)
        self._emptied.clear()

    def _forget(self, key: GroupKey) -> None:
        """Drop a group that holds nothing; no version of it is used again."""
        version = self._groups.pop(key).version
        self._names.pop(key.stream, None)
        if key.stream in self._bases:
            self._bases[key.stream] = max(self._bases[key.stream], version)
        else:
            self._base = max(self._base, version)

    def _after(self, stream: str, name: str) -> Iterator[str]:
        """The names of a stream's groups above one, in order."""
        names = self._names.get(stream)
        if names is None:
            names = self._names[stream] = sorted(key.group for key in self._groups if key.stream == stream)
        return (names[index] for index in range(bisect_right(names, name), len(names)))

    def _items_of(self, stream: str, after: ScanCursor) -> Iterator[tuple[str, Item]]:
        """A stream's items in the order of a scan."""
        begun = self._groups.get(GroupKey(stream, after.group))
        if begun is not None:
            yield from ((after.group, item) for item in begun.held.values() if item.created > after.created)
        for name in self._after(stream, after.group):
            yield from ((name, item) for item in self._groups[GroupKey(stream, name)].held.values())


def _repeated(changes: list[Change | None]) -> Repeated | None:
    """What a write is told whose key was used before."""
    (first,) = changes
    return None if first is None else Repeated(first)


def _page(entries: list[Item | Tombstone], through: int, head: Head, *, snapshot: bool) -> Page:
    items = [entry for entry in entries if isinstance(entry, Item)]
    gone = [] if snapshot else [entry for entry in entries if isinstance(entry, Tombstone)]
    return Page(items, gone, through, through == head.version, head)
