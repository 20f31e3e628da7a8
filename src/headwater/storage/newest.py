"""Cuts windows: the newest items of a group, as many as were asked for and as a page holds. Pure; for every
store."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.model import Item
from headwater.storage.base import ENTRY_BYTES


def newest_of(newest_first: Iterable[Item], limit: int, limit_bytes: int) -> tuple[list[Item], bool]:
    """The first items of these, in creation order, and whether they are all. Takes one more than it answers.

    They end once they pass `limit_bytes`, as a page does.
    """
    taken: list[Item] = []
    size = 0
    for item in newest_first:
        if len(taken) == limit or size > limit_bytes:
            return taken[::-1], False
        taken.append(item)
        size += ENTRY_BYTES + len(item.data)
    return taken[::-1], True
