"""How many deliveries leave in one turn of the loop, over all lanes of a hub, so that nothing else waits for
a large room.

Owns the budget and the queue of those who could not finish in a turn: first come, first served, and who goes
on takes its place at the end. Knows no lane and no subscriber.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger("headwater.streams")

DELIVERIES = 50
"""In one turn. A delivery takes 5 to 10 us, most of it the kernel's, so a turn takes a quarter to half a
millisecond, and a request needs some five turns to be answered. Measured beside a room of 10,000 that is
flushed without end (`benchmarks/crowd`): its median is 1.7 ms with this budget, 3 with 100, and was 41 with
1000. More turns also join more changes: 3.8 times Bun's rate in bursts, against 2.3 times with 100."""


class Pace:
    """The budget of the present turn."""

    def __init__(self) -> None:
        self._most = self._left = DELIVERIES
        self._waiting: deque[Callable[[], None]] = deque()
        self._armed = False

    @property
    def busy(self) -> bool:
        """Whether a flush waits for one of the next turns."""
        return bool(self._waiting)

    def take(self, wanted: int) -> int:
        """How many of so many deliveries may be made now; they count as made."""
        granted = min(wanted, self._left)
        self._left -= granted
        self._arm()
        return granted

    def later(self, go_on: Callable[[], None]) -> None:
        """Call it in one of the next turns, when there is something left to take."""
        self._waiting.append(go_on)
        self._arm()

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._armed = False
        self._left = self._most
        for _ in range(len(self._waiting)):
            if not self._left:
                break
            try:
                self._waiting.popleft()()
            except Exception:
                log.exception("A flush broke off")
        if self._waiting:
            self._arm()
