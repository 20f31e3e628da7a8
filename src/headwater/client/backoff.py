"""How long to wait before the next attempt to connect. Pure: chance and counting, no clock."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 0.25
MOST_SECONDS = 15.0


class Backoff:
    """Waits that double from `FIRST_SECONDS` to `MOST_SECONDS`, each with full jitter, so that the clients of
    a server that restarts do not come back all at once."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._attempts = 0

    def wait(self) -> float:
        """Seconds to wait now."""
        most = min(FIRST_SECONDS * 2**self._attempts, MOST_SECONDS)
        self._attempts = min(self._attempts + 1, 16)
        return most * self._chance()

    def succeeded(self) -> None:
        """A connection stood: the next wait is short again."""
        self._attempts = 0
