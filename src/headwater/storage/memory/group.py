"""One group in memory. Owns what each id is now, and in which order the ids were last written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from headwater.model import Item, Tombstone

_SLACK = 64
"""A group's history may hold this many stale entries more than live ones before it is rebuilt."""


class Group:
    """What each id is now, and in which order the ids were last written.

    `versions` and `ids` are the history in version order, searched by bisection. A write appends and leaves
    the id's earlier entry behind, stale: an entry counts only while it is the id's present version.
    """

    __slots__ = ("floor", "gone", "held", "history", "ids", "version", "versions")

    def __init__(self, base: int, *, history: bool) -> None:
        self.version = self.floor = base
        self.history = history
        self.held: dict[str, Item] = {}
        """In creation order: an item that is written again keeps its place."""
        self.gone: dict[str, Tombstone] = {}
        self.versions: list[int] = []
        self.ids: list[str] = []

    def present(self, item_id: str) -> Item | Tombstone | None:
        """What an id is now, or None."""
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
