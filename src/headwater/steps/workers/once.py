"""What workers tell of a step once, as hints about old code: once in the life of the server, however many
processes notice it. Owns what was told."""

from __future__ import annotations

MOST_TOLD = 10_000
"""Beyond them nothing more is told, so that it holds a bounded memory."""


class Once:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def first(self, step: str, what: str) -> bool:
        """Whether this is told of a step for the first time; from now on it is not."""
        if (step, what) in self._told or len(self._told) >= MOST_TOLD:
            return False
        self._told.add((step, what))
        return True
