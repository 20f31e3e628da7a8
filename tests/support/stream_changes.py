"""Changes of one group, made by hand for tests that need no store."""

from __future__ import annotations

from typing import Any

import orjson

from headwater.model import Change, ChangeKind, GroupKey, Item, Tombstone

ROOM = GroupKey("chat", "room")


class History:
    """The changes of one group in version order, as a store would answer them."""

    def __init__(self, group: GroupKey = ROOM, version: int = 0) -> None:
        self.group = group
        self.version = version
        self.items: dict[str, Item] = {}
        self.graves: dict[str, Tombstone] = {}

    def set(self, item: str, **members: Any) -> Change:
        """Create or replace an item."""
        self.version += 1
        known = self.items.get(item)
        self.graves.pop(item, None)
        created = self.version if known is None else known.created
        data = orjson.dumps({"id": item, **members})
        self.items[item] = Item(item, data, self.version, created)
        return self._change(item, "create" if known is None else "update")

    def delete(self, item: str) -> Change:
        """Delete an item that is there."""
        self.version += 1
        change = self._change(item, "delete")
        del self.items[item]
        self.graves[item] = Tombstone(item, self.version)
        return change

    def _change(self, item: str, kind: ChangeKind) -> Change:
        held = self.items[item]
        return Change(self.group, item, kind, self.version, held.created, held.data)
