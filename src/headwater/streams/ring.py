"""The recent changes of one group, contiguous in version and bounded in bytes. Pure, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from headwater.model import Change

ENTRY_BYTES = 200
"""What one kept change costs beside its data: the tuple, its names, the deque's slot (measured, rounded
up)."""


class Ring:
    """Changes `base + 1` to `head`, without a gap; the oldest leave when the bytes run out."""

    __slots__ = ("_bytes", "_changes", "_limit", "base")

    def __init__(self, limit_bytes: int, base: int) -> None:
        self._limit = limit_bytes
        self._changes: deque[Change] = deque()
        self._bytes = 0
        self.base = base

    @property
    def head(self) -> int:
        """The version of the newest change, or the base when there is none."""
        return self.base + len(self._changes)

    def append(self, change: Change) -> None:
        """Keep the next change; its version must be `head + 1`."""
        self._changes.append(change)
        self._bytes += len(change.data) + ENTRY_BYTES
        while self._bytes > self._limit:
            gone = self._changes.popleft()
            self._bytes -= len(gone.data) + ENTRY_BYTES
            self.base = gone.version

    def covers(self, after: int) -> bool:
        """Whether every change after that version, up to the head, is here."""
        return self.base <= after <= self.head

    def between(self, after: int, through: int) -> Iterable[Change]:
        """The changes with versions in `(after, through]`; both must be covered."""
        return islice(self._changes, after - self.base, through - self.base)
