"""Bytes that clients make the server hold, over all connections: how many they may be together. Pure, no I/O.

Each may have half a message of the largest size lie here, or an answer of the largest size that it does not
read, for as long as it likes, and two thousand of them are gigabytes. Above the limit the one that has held
something for longest is given up: whoever sends a message finishes it, whoever asked for an answer reads it,
and whoever wants to hold memory does neither.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Holder(Protocol):
    """A connection for which something is held."""

    def give_up(self) -> None:
        """Let it go: afterwards it holds nothing."""
        ...


Held = TypeVar("Held", bound=Holder)


def _give_up(holder: Holder) -> None:
    holder.give_up()


class HeldBytes(Generic[Held]):
    """What is held of one kind, for all connections."""

    def __init__(self, limit_bytes: int, give_up: Callable[[Held], None] = _give_up) -> None:
        """`give_up` is how a connection is let go for this kind, where it holds several."""
        self.used = 0
        """Bytes."""
        self.limit = limit_bytes
        self._give_up = give_up
        self._sizes: OrderedDict[Held, int] = OrderedDict()
        """Those that hold something, the first that began first."""

    def hold(self, holder: Held, size: int) -> None:
        """So many bytes are held for a connection now."""
        before = self._sizes.pop(holder, 0) if not size else self._sizes.get(holder, 0)
        if size == before:
            return
        self.used += size - before
        if size:
            self._sizes[holder] = size
        while self.used > self.limit:
            oldest = next(iter(self._sizes))
            self._give_up(oldest)
            self.hold(oldest, 0)
