"""The recent changes of one group, contiguous in version and bounded in bytes. Pure, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from headwater.model import Change
from headwater.protocol.clients.wire import Advance

ENTRY_BYTES = 300
"""What one kept change costs beside its data: the tuples, names and slots (measured, rounded up)."""


class Ring:
    """Changes `base + 1` to `head`, without a gap; the oldest leave when the bytes run out."""

    __slots__ = ("_advances", "_bytes", "_latest", "_limit", "base", "feed")

    def __init__(self, feed: int, limit_bytes: int, base: int) -> None:
        self.feed = feed
        self.base = base
        self._limit = limit_bytes
        self._advances: deque[Advance] = deque()
        self._latest: dict[str, Change] = {}
        self._bytes = 0

    @property
    def head(self) -> int:
        """The version of the newest change, or the base when there is none."""
        return self.base + len(self._advances)

    def append(self, change: Change) -> Advance:
        """Keep the next change, whose version must be `head + 1`; answers it with what the item was before,
        if that is still here."""
        known = self._latest.get(change.id)
        before = (
            known.data if known is not None and known.kind != "delete" and change.kind == "update" else None
        )
        advance = Advance(change, self.feed, before)
        self._latest[change.id] = change
        self._advances.append(advance)
        self._bytes += len(change.data) + ENTRY_BYTES
        while self._bytes > self._limit:
            self._forget(self._advances.popleft().change)
        return advance

    def covers(self, after: int) -> bool:
        """Whether every change after that version, up to the head, is here."""
        return self.base <= after <= self.head

    def between(self, after: int, through: int) -> Iterable[Advance]:
        """The changes with versions in `(after, through]`; both must be covered."""
        return islice(self._advances, after - self.base, through - self.base)

    def _forget(self, gone: Change) -> None:
        self._bytes -= len(gone.data) + ENTRY_BYTES
        self.base = gone.version
        if self._latest.get(gone.id) is gone:
            del self._latest[gone.id]
