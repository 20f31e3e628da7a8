"""The storage contract once more, as naively as it can be said: what any store must agree with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Head, Item, Tombstone, Write
from headwater.storage.base import ENTRY_BYTES, Outcome, Repeated


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
    entries: dict[str, Entry] = field(default_factory=dict)
    keys: dict[str, tuple[float, int]] = field(default_factory=dict)


@dataclass
class StoreModel:
    """Groups, the deletes in the order of time, and the base."""

    groups: dict[GroupKey, GroupModel] = field(default_factory=dict)
    deletes: list[tuple[float, GroupKey, str, int]] = field(default_factory=list)
    base: int = 0

    def commit(self, writes: Sequence[Write], stamp: float) -> list[tuple[str, int]]:
        """Kind or error code, and version, of each write."""
        return [self._write(write, stamp) for write in writes]

    def head(self, key: GroupKey) -> Head:
        group = self.groups.get(key)
        return Head(group.version, group.floor) if group else Head(self.base, self.base)

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
                self.base = max(self.base, group.version)
                del self.groups[key]
        del self.deletes[: len(aged)]
        for group in self.groups.values():
            group.keys = {name: kept for name, kept in group.keys.items() if kept[0] > cut}

    def _range(self, key: GroupKey, after: int, through: int) -> Iterator[tuple[str, Entry]]:
        group = self.groups.get(key)
        entries = group.entries.items() if group else ()
        found = [(item_id, entry) for item_id, entry in entries if after < entry.version <= through]
        return iter(sorted(found, key=lambda pair: pair[1].version))

    def _write(self, write: Write, stamp: float) -> tuple[str, int]:
        group = self.groups.get(write.group)
        if group and write.key in group.keys:
            return ("repeated", group.keys[write.key][1])
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
        group = self.groups.setdefault(write.group, GroupModel(self.base, self.base))
        group.version += 1
        created = current.created if current else group.version
        expires = current.expires if current and write.kind == "update" else write.expires
        group.entries[write.id] = Entry(group.version, created, data, None if data is None else expires)
        if write.key is not None:
            group.keys[write.key] = (stamp, group.version)
        if data is None:
            self.deletes.append((stamp, write.group, write.id, group.version))
            return ("delete", group.version)
        return ("update" if current else "create", group.version)


def described(outcome: Outcome) -> tuple[str, int]:
    """A store's outcome as the model says it."""
    if outcome is None:
        return ("nothing", 0)
    if isinstance(outcome, Change):
        return (outcome.kind, outcome.version)
    if isinstance(outcome, Repeated):
        return ("repeated", outcome.change.version)
    return (outcome.code, outcome.details.get("version", 0))
