"""How long to wait before the next attempt to connect. Pure: chance and counting, no clock. Why the numbers
are what they are: docs/decisions/0018-coming-back.md."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 0.25
SOON_SECONDS = 1.0
"""The most while the connection was lost not long ago: a server that restarts is found within it."""
SOON_ATTEMPTS = 40
"""Attempts that count as not long ago: half a minute of them."""
MOST_SECONDS = 15.0


class Backoff:
    """Waits that grow, each between half and all of what it may be, so that clients do not come back all at
    once."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._attempts = 0

    def wait(self) -> float:
        """Seconds to wait now."""
        late = self._attempts - SOON_ATTEMPTS + 1
        if late > 0:
            most = min(SOON_SECONDS * 2 ** min(late, 16), MOST_SECONDS)
        else:
            most = min(FIRST_SECONDS * 2**self._attempts, SOON_SECONDS)
        self._attempts += 1
        return most * (1 + self._chance()) / 2

    def begin_anew(self) -> None:
        """The next wait is short again: a connection stood."""
        self._attempts = 0
