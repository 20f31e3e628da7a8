"""Messages of which a part has come, over all sockets: how many bytes they may be together. Pure, no I/O.

Each socket may hold a message of the largest size for as long as its client likes, and two thousand of them
are gigabytes. Above the limit the one that has been unfinished for longest is given up: whoever sends a
message finishes it, and whoever wants to hold memory does not.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Holder(Protocol):
    """A socket with an unfinished message."""

    def give_up(self) -> None:
        """Let it go: afterwards it holds nothing."""
        ...


Held = TypeVar("Held", bound=Holder)


class Unfinished(Generic[Held]):
    """What all sockets hold."""

    def __init__(self, limit_bytes: int) -> None:
        self.used = 0
        """Bytes."""
        self.limit = limit_bytes
        self._sizes: OrderedDict[Held, int] = OrderedDict()
        """Those that hold something, the first that began first."""

    def hold(self, holder: Held, size: int) -> None:
        """A socket holds so many bytes now."""
        before = self._sizes.pop(holder, 0) if not size else self._sizes.get(holder, 0)
        if size == before:
            return
        self.used += size - before
        if size:
            self._sizes[holder] = size
        while self.used > self.limit:
            oldest = next(iter(self._sizes))
            oldest.give_up()
            self.hold(oldest, 0)
