"""Time limits of one length, for many things at once: a timer for all of them instead of one for each.

What has the same length ends in the order in which it began, so only the oldest is watched. A timer for each
would cost more than everything else about its limit. Knows nothing of what is limited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Limited = TypeVar("Limited")


class Deadlines(Generic[Limited]):
    """Calls `expire` with whatever has begun and not ended for so many `seconds`, once."""

    __slots__ = ("_due", "_expire", "_loop", "_seconds", "_timer")

    def __init__(self, seconds: float, expire: Callable[[Limited], None]) -> None:
        self._seconds = seconds
        self._expire = expire
        self._due: dict[Limited, float] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, what: Limited) -> None:
        """Its time begins now."""
        due = self._due[what] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def end(self, what: Limited) -> None:
        """It has ended, in time or not."""
        self._due.pop(what, None)

    def _look(self) -> None:
        """End whose time is over, and look again when that of the oldest one left is."""
        self._timer = None
        now = self._loop.time()
        over: list[Limited] = []
        for what, due in self._due.items():
            if due > now:
                self._timer = self._loop.call_at(due, self._look)
                break
            over.append(what)
        for what in over:
            del self._due[what]
            self._expire(what)
