"""Items that are due at some time, the earliest first. Owns the order; knows no versions and no clock."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from headwater.model import GroupKey

Where = tuple[GroupKey, str]

_SLACK = 64
"""The heap may hold this many stale entries more than live ones before it is rebuilt."""


class Expiring:
    """A heap of times. An entry counts only while it is its item's present time; others are stale."""

    def __init__(self) -> None:
        self._times: dict[Where, float] = {}
        self._heap: list[tuple[float, Where]] = []

    def __bool__(self) -> bool:
        """Whether any item has a time."""
        return bool(self._times)

    def put(self, where: Where, at: float | None) -> None:
        """Give an item a time, or none."""
        if at is None:
            self._times.pop(where, None)
            return
        self._times[where] = at
        heappush(self._heap, (at, where))
        if len(self._heap) > 2 * len(self._times) + _SLACK:
            self._heap = [(time, there) for there, time in self._times.items()]
            heapify(self._heap)

    def due(self, now: float, limit: int) -> list[Where]:
        """Those whose time has come by `now`, the earliest first, at most `limit`. They stay."""
        found: list[tuple[float, Where]] = []
        last: tuple[float, Where] | None = None
        while self._heap and self._heap[0][0] <= now and len(found) < limit:
            entry = heappop(self._heap)
            if self._times.get(entry[1]) == entry[0] and entry != last:
                found.append(entry)
            last = entry
        for entry in found:
            heappush(self._heap, entry)
        return [where for _, where in found]
