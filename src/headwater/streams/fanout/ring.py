"""The recent changes of one group in version order, bounded in bytes, and what all groups keep of them
together. Pure, no I/O."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from headwater.model import Change
from headwater.protocol.clients.wire import Advance

ENTRY_BYTES = 300
"""What one kept change costs beside its data: the tuples, names and slots (measured, rounded up)."""


class RingBudget:
    """How many bytes all rings hold together. The changes of the group that has had none for longest leave
    first; what each keeps or drops costs the same however many there are."""

    def __init__(self, limit_bytes: int, each_bytes: int, on_full: Callable[[], None] = lambda: None) -> None:
        """`each_bytes` is the most that one ring holds. `on_full` is called when the limit is met, and again
        only once less than half of it was held meanwhile: from then on every change would."""
        self.each_bytes = each_bytes
        self.used = 0
        self.limit = limit_bytes
        self._on_full = on_full
        self._was_full = False
        self._holders: OrderedDict[Ring, None] = OrderedDict()
        """Those that hold something, the least recently grown first."""
        self._last: Ring | None = None
        """The last of them, unless that has nothing left: it need not be moved when it grows again."""

    def grew(self, ring: Ring, size: int) -> None:
        """A ring keeps so many bytes more."""
        self.used += size
        if ring is not self._last:
            self._last = ring
            self._holders[ring] = None
            self._holders.move_to_end(ring)
        if self.used > self.limit and not self._was_full:
            self._was_full = True
            self._on_full()
        while self.used > self.limit:
            next(iter(self._holders)).forget_oldest()

    def shrank(self, ring: Ring, size: int, *, empty: bool) -> None:
        """A ring keeps so many bytes less."""
        self.used -= size
        if self._was_full and self.used < self.limit / 2:
            self._was_full = False
        if empty:
            self._holders.pop(ring, None)
            if ring is self._last:
                self._last = None


class Ring:
    """What changed after version `base`, up to `head`; the oldest changes leave when the bytes run out.

    Where a group was read from the store, versions are left out whose items were written again before the
    read: they are in no state that anybody needs.
    """

    __slots__ = ("_advances", "_budget", "_bytes", "_latest", "base", "feed", "head")

    def __init__(self, feed: int, budget: RingBudget, base: int) -> None:
        self.feed = feed
        self.base = base
        self.head = base
        """The version of the newest change, or the base when there is none."""
        self._budget = budget
        self._advances: deque[Advance] = deque()
        self._latest: dict[str, Change] = {}
        self._bytes = 0

    def append(self, change: Change) -> Advance:
        """Keep the next change, whose version must be above the head; answers it with what the item was
        before, if that is still here."""
        known = self._latest.get(change.id)
        before = (
            known.data if known is not None and known.kind != "delete" and change.kind == "update" else None
        )
        advance = Advance(change, self.feed, before)
        self._latest[change.id] = change
        self._advances.append(advance)
        self.head = change.version
        size = _size(change)
        self._bytes += size
        self._budget.grew(self, size)
        while self._bytes > self._budget.each_bytes:
            self.forget_oldest()
        return advance

    def covers(self, after: int) -> bool:
        """Whether every change after that version, up to the head, is here."""
        return self.base <= after <= self.head

    def between(self, after: int, through: int) -> Sequence[Advance]:
        """The changes with versions in `(after, through]`; both must be covered. It costs as much as there
        are after `after`."""
        found: list[Advance] = []
        for advance in reversed(self._advances):
            if advance.change.version <= after:
                break
            if advance.change.version <= through:
                found.append(advance)
        found.reverse()
        return found

    def forget_oldest(self) -> None:
        """Let the oldest change go; there must be one."""
        gone = self._advances.popleft().change
        size = _size(gone)
        self._bytes -= size
        self.base = gone.version
        if self._latest.get(gone.id) is gone:
            del self._latest[gone.id]
        self._budget.shrank(self, size, empty=not self._advances)

    def close(self) -> None:
        """Let go of everything: the ring is not used any more."""
        self._advances.clear()
        self._latest.clear()
        self._budget.shrank(self, self._bytes, empty=True)
        self._bytes = 0


def _size(change: Change) -> int:
    return len(change.data) + len(change.delta or b"") + ENTRY_BYTES
