"""A whole group, or one item, as of one version. Knows the storage contract alone."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from headwater.errors import TooLarge
from headwater.model import GroupKey, Item
from headwater.storage.base import Store

PAGE_BYTES = 4 * 1024 * 1024
"""One page of a read that has to gather everything anyway."""
MANY = 10_000
"""Items that are put in order beside the loop: below, that takes a few milliseconds."""


class Snapshot(NamedTuple):
    """What a group held at `version`: its items in creation order."""

    items: list[Item]
    version: int


async def read_snapshot(
    store: Store, group: GroupKey, only: str | None = None, *, max_bytes: int | None = None
) -> Snapshot:
    """All items of a group, or the one named, as of one version.

    :raises StoreUnavailable: the store cannot be read.
    :raises TooLarge: their data has more than `max_bytes`.
    """
    held: dict[str, Item] = {}
    after, begun, size, complete = 0, 0, 0, False
    while not complete:
        page = await store.read(group, after=after, limit_bytes=PAGE_BYTES, only=only)
        begun = begun if after else page.head.version
        if after and page.head.floor > max(after, begun):  # Deletes made since then were forgotten.
            held.clear()
            after = size = 0
            continue
        for gone in page.tombstones:
            held.pop(gone.id, None)
        held.update((item.id, item) for item in page.items)
        after, complete = page.through, page.complete
        size += sum(len(item.data) for item in page.items)
        if max_bytes is not None and size > max_bytes and only is None:
            raise TooLarge(
                f"The group has more than {max_bytes} bytes.",
                hint="Read it in parts with limit= and before=, or raise [streams] max_snapshot_bytes.",
                limit=max_bytes,
            ).at("streams.max_snapshot_bytes", max_bytes)
    return Snapshot(await _in_order(list(held.values())), after)


async def _in_order(items: list[Item]) -> list[Item]:
    if len(items) < MANY:
        return sorted(items, key=_created)
    return await asyncio.to_thread(sorted, items, key=_created)


def _created(item: Item) -> int:
    return item.created
