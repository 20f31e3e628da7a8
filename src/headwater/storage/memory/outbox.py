"""Outbox entries in memory. Owns their ids and their order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from headwater.model import Change, OutboxEntry
from headwater.storage.base import ENTRY_BYTES

_SLACK = 64
"""The list of ids may hold this many settled ones more than pending ones before it is rebuilt."""


class Outbox:
    """What is pending, by id. The ids in order are searched by bisection; settled ones are skipped."""

    def __init__(self) -> None:
        self._pending: dict[int, OutboxEntry] = {}
        self._ids: list[int] = []
        self._last = 0

    def add(self, change: Change, before: bytes | None, reason: bytes) -> None:
        """Leave an entry for a change."""
        self._last += 1
        after = None if change.kind == "delete" else change.data
        self._pending[self._last] = OutboxEntry(
            self._last,
            change.group,
            change.id,
            change.kind,
            change.version,
            before,
            after,
            change.origin,
            reason,
        )
        self._ids.append(self._last)

    def missing(self, entries: Iterable[int]) -> int | None:
        """The first of these that is not pending."""
        return next((entry for entry in entries if entry not in self._pending), None)

    def settle(self, entries: Iterable[int]) -> None:
        """Remove pending entries."""
        for entry in entries:
            self._pending.pop(entry, None)
        if len(self._ids) > 2 * len(self._pending) + _SLACK:
            self._ids = list(self._pending)

    def read(self, after: int, limit: int, limit_bytes: int) -> list[OutboxEntry]:
        """See Store.outbox."""
        found: list[OutboxEntry] = []
        size = 0
        for index in range(bisect_right(self._ids, after), len(self._ids)):
            entry = self._pending.get(self._ids[index])
            if entry is None:
                continue
            if len(found) == limit or size > limit_bytes:
                break
            found.append(entry)
            size += ENTRY_BYTES + len(entry.before or b"") + len(entry.after or b"")
        return found
