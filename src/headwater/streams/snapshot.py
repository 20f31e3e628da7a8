"""A whole group, or one item, as of one version. Knows the storage contract alone."""

from __future__ import annotations

from typing import NamedTuple

from headwater.model import GroupKey, Item
from headwater.storage.base import Store

PAGE_BYTES = 4 * 1024 * 1024
"""One page of a read that has to gather everything anyway."""


class Snapshot(NamedTuple):
    """What a group held at `version`: its items in creation order."""

    items: list[Item]
    version: int


async def read_snapshot(store: Store, group: GroupKey, only: str | None = None) -> Snapshot:
    """All items of a group, or the one named, as of one version.

    :raises StoreUnavailable: the store cannot be read.
    """
    held: dict[str, Item] = {}
    after, begun, complete = 0, 0, False
    while not complete:
        page = await store.read(group, after=after, limit_bytes=PAGE_BYTES, only=only)
        begun = begun if after else page.head.version
        if after and page.head.floor > max(after, begun):  # Deletes made since then were forgotten.
            held.clear()
            after = 0
            continue
        for gone in page.tombstones:
            held.pop(gone.id, None)
        held.update((item.id, item) for item in page.items)
        after, complete = page.through, page.complete
    return Snapshot(sorted(held.values(), key=lambda item: item.created), after)
