"""The storage contract once more, as naively as it can be said: what any store must agree with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Head, Item, OutboxEntry, Tombstone, Unit, Write
from headwater.storage.base import ENTRY_BYTES, Committed, Repeated, UnitOutcome

Told = tuple[str, int]
"""What became of a write: the kind of change, "nothing", "repeated" or an error's code; and a version."""


@dataclass
class Entry:
    """What one id is: an item, or what is left of it (`data` None)."""

    version: int
    created: int
    data: bytes | None
    expires: float | None = None


@dataclass
class GroupModel:
    version: int
    floor: int
    history: bool = True
    entries: dict[str, Entry] = field(default_factory=dict)


@dataclass
class StoreModel:
    """Groups, the deletes in the order of time, keys with their time, outbox entries, and the bases."""

    groups: dict[GroupKey, GroupModel] = field(default_factory=dict)
    deletes: list[tuple[float, GroupKey, str, int]] = field(default_factory=list)
    keys: dict[tuple[GroupKey | None, str], tuple[float, list[Told]]] = field(default_factory=dict)
    outbox: list[tuple[GroupKey, str, str, int, bytes | None, bytes | None, bytes]] = field(
        default_factory=list
    )
    base: int = 0
    bases: dict[str, int] = field(default_factory=dict)

    def commit(self, units: Sequence[Write | Unit], stamp: float, pending: Sequence[int]) -> list[list[Told]]:
        """Kind or error code, and version, of each write of each unit. `pending` are the ids of the outbox
        entries, which stores choose."""
        told: list[list[Told]] = []
        ids = list(pending)
        for unit in units:
            told.append(
                self._unit(unit, stamp, ids) if isinstance(unit, Unit) else [self._write(unit, stamp)]
            )
        for key, group in list(self.groups.items()):
            if not group.history and not group.entries:
                self._forget(key)
        return told

    def head(self, key: GroupKey) -> Head:
        group = self.groups.get(key)
        base = self.bases.get(key.stream, self.base)
        return Head(group.version, group.floor) if group else Head(base, base)

    def scan(self, stream: str) -> list[tuple[str, Item]]:
        keys = sorted(key for key in self.groups if key.stream == stream)
        return [
            (key.group, item)
            for key in keys
            for item in sorted(self.items(key), key=lambda item: item.created)
        ]

    def items(self, key: GroupKey, after: int = 0, through: int = 1 << 60) -> list[Item]:
        return [
            Item(item_id, entry.data, entry.version, entry.created)
            for item_id, entry in self._range(key, after, through)
            if entry.data is not None
        ]

    def tombstones(self, key: GroupKey, after: int, through: int) -> list[Tombstone]:
        gone = (found for found in self._range(key, after, through) if found[1].data is None)
        return [Tombstone(item_id, entry.version) for item_id, entry in gone]

    def window(self, key: GroupKey, before: int, limit: int, limit_bytes: int) -> list[Item]:
        items = sorted(self.items(key), key=lambda item: item.created)
        newest = [item for item in items if item.created < before][-limit:]
        while sum(len(item.data) + ENTRY_BYTES for item in newest[1:]) > limit_bytes:
            newest = newest[1:]
        return newest

    def due(self, now: float) -> list[tuple[float, GroupKey, str, int]]:
        return sorted(
            (entry.expires, key, item_id, entry.version)
            for key, group in self.groups.items()
            for item_id, entry in group.entries.items()
            if entry.expires is not None and entry.expires <= now
        )

    def sweep(self, now: float, age: float) -> None:
        """Until nothing more goes."""
        cut = (now - age) * 1000.0
        aged = [delete for delete in self.deletes if delete[0] <= cut]
        for _, key, item_id, version in aged:
            group = self.groups[key]
            group.floor = version
            entry = group.entries[item_id]
            if entry.data is None and entry.version == version:
                del group.entries[item_id]
            if not group.entries:
                self._forget(key)
        del self.deletes[: len(aged)]
        self.keys = {name: kept for name, kept in self.keys.items() if kept[0] > cut}

    def _forget(self, key: GroupKey) -> None:
        version = self.groups.pop(key).version
        if key.stream in self.bases:
            self.bases[key.stream] = max(self.bases[key.stream], version)
        else:
            self.base = max(self.base, version)

    def _unit(self, unit: Unit, stamp: float, ids: list[int]) -> list[Told]:
        """Try it on a copy, and become the copy if nothing was rejected."""
        if unit.key is not None and (None, unit.key) in self.keys:
            return self.keys[None, unit.key][1]
        if any(entry not in ids for entry in unit.settles):
            return [("CONFLICT", 0)]
        trial = deepcopy(self)
        told = [trial._write(write, stamp) for write in unit.writes]
        rejected = [index for index, (what, _) in enumerate(told) if what.isupper()]
        if rejected:
            return [(*told[rejected[0]], rejected[0])]  # type: ignore[list-item]
        for entry in set(unit.settles):
            del trial.outbox[ids.index(entry)]
            ids.remove(entry)
        if unit.key is not None and (unit.settles or any(what != "nothing" for what, _ in told)):
            trial.keys[None, unit.key] = (stamp, told)
        self.__dict__.update(trial.__dict__)
        return told

    def _range(self, key: GroupKey, after: int, through: int) -> Iterator[tuple[str, Entry]]:
        group = self.groups.get(key)
        entries = group.entries.items() if group else ()
        found = [(item_id, entry) for item_id, entry in entries if after < entry.version <= through]
        return iter(sorted(found, key=lambda pair: pair[1].version))

    def _write(self, write: Write, stamp: float) -> tuple[str, int]:
        group = self.groups.get(write.group)
        if write.key is not None and (write.group, write.key) in self.keys:
            return ("repeated", self.keys[write.group, write.key][1][0][1])
        entry = group.entries.get(write.id) if group else None
        current = entry if entry and entry.data is not None else None
        if write.if_version is not None and write.if_version != (current.version if current else 0):
            return ("CONFLICT", current.version if current else 0)
        if write.kind == "delete" and current is None:
            return ("nothing", 0)
        data = None if write.kind == "delete" else write.data
        if write.apply is not None:
            try:
                data = write.apply(current.data if current else None)
            except HeadwaterError as error:
                return (error.code, 0)
        if group is None:
            base = self.head(write.group).version
            if not write.history:
                self.bases.setdefault(write.group.stream, base)
            group = self.groups[write.group] = GroupModel(base, base, write.history)
        group.version += 1
        created = current.created if current else group.version
        expires = current.expires if current and write.kind == "update" else write.expires
        before = current.data if current else None
        group.entries[write.id] = Entry(group.version, created, data, None if data is None else expires)
        kind = "delete" if data is None else "update" if current else "create"
        if write.key is not None:
            self.keys[write.group, write.key] = (stamp, [(kind, group.version)])
        if write.outbox is not None:
            self.outbox.append((write.group, write.id, kind, group.version, before, data, write.outbox))
        if data is None and group.history:
            self.deletes.append((stamp, write.group, write.id, group.version))
        elif data is None:
            group.floor = group.version
            del group.entries[write.id]
        return (kind, group.version)


def told_entry(entry: OutboxEntry) -> tuple[object, ...]:
    """An outbox entry as the model keeps it."""
    return (entry.group, entry.item, entry.kind, entry.version, entry.before, entry.after, entry.reason)


def described(outcome: UnitOutcome) -> list[tuple[str, int]]:
    """A store's outcome as the model says it."""
    if isinstance(outcome, Committed):
        return [_described(change) for change in outcome.changes]
    if isinstance(outcome, HeadwaterError) and "index" in outcome.details:
        return [(*_described(outcome), outcome.details["index"])]  # type: ignore[list-item]
    return [_described(outcome)]


def _described(outcome: UnitOutcome) -> tuple[str, int]:
    if outcome is None:
        return ("nothing", 0)
    if isinstance(outcome, Change):
        return (outcome.kind, outcome.version)
    if isinstance(outcome, Repeated):
        return ("repeated", outcome.change.version)
    assert isinstance(outcome, HeadwaterError)
    return (outcome.code, outcome.details.get("version", 0))
