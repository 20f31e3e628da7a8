"""When connections' contexts end: one heap for all of them, one look at a time.

Owns who is to be told when, and that a look costs nothing for those whose time has not come. Knows of a
connection only that it is told: a while before, and at the end.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from typing import Protocol

from headwater.clock import Clock

log = logging.getLogger("headwater.socket")

MOST_AT_ONCE = 100
"""Connections that are told in one turn of the loop: ending one costs up to its subscriptions."""

LOOK_SECONDS = 1.0
"""At the latest so long after the last one the clock is looked at again: the wall's may be set forward."""

INTERNAL_ERROR = 1011
"""The code of RFC 6455 for a fault of ours."""

_FEW = 64
"""Entries of which so many may be of nobody before the heap is made anew."""


class Lapsing(Protocol):
    """A connection whose context ends."""

    def expiring(self, seconds: float) -> None:
        """It ends in so many seconds."""
        ...

    def expired(self) -> None:
        """It has ended."""
        ...

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        ...


class _Entry:
    """What is known of one connection: when its context ends, and whether it has been told that it will."""

    __slots__ = ("due", "expires", "told", "who")

    def __init__(self, who: Lapsing, due: float, expires: float) -> None:
        self.who: Lapsing | None = who
        self.due = due
        self.expires = expires
        self.told = False

    def __lt__(self, other: _Entry) -> bool:
        return self.due < other.due


class Lapses:
    """The connections whose contexts end, by when. `lead`: how many seconds before they are told; of a
    shorter time, half."""

    def __init__(self, clock: Clock, lead: float) -> None:
        self._clock = clock
        self._lead = lead
        self._entries: dict[Lapsing, _Entry] = {}
        self._heap: list[_Entry] = []
        self._sooner = asyncio.Event()

    def __len__(self) -> int:
        """How many have an end."""
        return len(self._entries)

    def enter(self, who: Lapsing, expires: float | None) -> None:
        """The context of a connection ends then, whatever was said of it before; None is never."""
        self.leave(who)
        if expires is None:
            return
        left = expires - self._clock.now()
        entry = self._entries[who] = _Entry(who, expires - min(self._lead, max(left, 0.0) / 2), expires)
        self._push(entry)

    def leave(self, who: Lapsing) -> None:
        """A connection is gone; unknown ones are passed over."""
        if not self._entries:
            return
        entry = self._entries.pop(who, None)
        if entry is None:
            return
        entry.who = None
        if len(self._heap) > 2 * len(self._entries) + _FEW:
            self._heap = [one for one in self._heap if one.who is not None]
            heapq.heapify(self._heap)

    def look(self) -> float | None:
        """Tell whose time has come, of many the first; in how many seconds there is more to do, or None."""
        now = self._clock.now()
        for _ in range(MOST_AT_ONCE):
            while self._heap and self._heap[0].who is None:
                heapq.heappop(self._heap)
            if not self._heap:
                return None
            if self._heap[0].due > now:
                break
            self._tell(heapq.heappop(self._heap), now)
        return max(self._heap[0].due - now, 0.0) if self._heap else None

    async def run(self) -> None:
        """Look whenever there is something to do, until cancelled."""
        while True:
            self._sooner.clear()
            wait = self.look()
            if wait is not None:
                wait = min(wait, LOOK_SECONDS)
            try:
                async with asyncio.timeout(wait):
                    await self._sooner.wait()
            except TimeoutError:
                pass

    def _push(self, entry: _Entry) -> None:
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._sooner.set()

    def _tell(self, entry: _Entry, now: float) -> None:
        who = entry.who
        if who is None:
            return
        ended = entry.expires <= now
        if ended:
            del self._entries[who]
            entry.who = None
        else:
            entry.due = entry.expires
            self._push(entry)
        try:
            if ended:
                who.expired()
            else:
                who.expiring(round(entry.expires - now, 3))
        except Exception:  # One connection's fault must not keep others from hearing theirs.
            log.exception("A connection could not be told that its token ends, so it is closed")
            who.close(INTERNAL_ERROR, "the server failed")
