"""What a server holds in memory for others, by kind: how much of each now, and the bound over all of it.

Owns the list. Whoever holds something counts it for itself and is asked only when somebody reads, so a server
that nobody asks pays nothing. Knows no kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from headwater.errors import Limit


class Holding(NamedTuple):
    """One kind: its name, what it is counted in ("bytes", or the thing in the plural), how many of these are
    held now, and the setting that bounds them."""

    kind: str
    unit: str
    now: int
    limit: Limit


class Holdings:
    """All kinds that one server holds, in the order in which they were added."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, Limit, Callable[[], int]]] = {}

    def add(self, kind: str, limit: Limit, now: Callable[[], int], unit: str = "bytes") -> None:
        """Tell of a kind from now on. `now` answers how much is held, at once and without a wait.

        :raises ValueError: there is such a kind already.
        """
        if kind in self._kinds:
            raise ValueError(f"What is held as {kind!r} is told already.")
        self._kinds[kind] = unit, limit, now

    def read(self) -> list[Holding]:
        """How much of each kind is held now."""
        return [Holding(kind, unit, now(), limit) for kind, (unit, limit, now) in self._kinds.items()]
