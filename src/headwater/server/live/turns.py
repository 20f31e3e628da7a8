"""Shares each turn of the loop among the sockets that have something to read. Owns how much of a turn inbound
frames may take, over all sockets; what reading one means is the socket's.

A megabyte of the smallest frames is 200,000 of them, and a socket gets a quarter of that in one piece: read
to its end, nobody else would be served for a second.

- While a turn has something left and nobody waits, a socket reads at once, as nearly always.
- What it does not get to read waits, and the socket takes no more from its client meanwhile.
- Those who wait are served in turn, a share each; the rest of the loop has its turn in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

SHARE = 64
"""What one socket may cost at a time."""

TURN = 400
"""What all sockets may cost in one turn of the loop: about 2 ms, at about 5 us for a frame that costs 1."""

MESSAGE = 4
"""What a message costs beside the frame that brings it, for what the session does with it."""

PAYLOAD_BYTES = 2048
"""Of a message that cost 1 more."""


class Reader(Protocol):
    """A socket with something to read."""

    def read(self, most: int) -> int:
        """Read what costs about that much; answers what it cost, 0 where nothing can be read now."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether it stopped only because it cost enough."""
        ...


class Turns:
    """The turns of one loop."""

    def __init__(self) -> None:
        self._waiting: deque[Reader] = deque()
        self._left = TURN
        self._scheduled = False

    def __len__(self) -> int:
        """How many sockets wait."""
        return len(self._waiting)

    def read(self, reader: Reader) -> bool:
        """Have a socket read now; False where it waits for its turn."""
        if self._waiting or self._left <= 0:
            self._waiting.append(reader)
            return False
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)
        self._serve(reader)
        return True

    def _turn(self) -> None:
        """The next turn of the loop. There is one after it, whatever a socket does: they all wait for it."""
        self._left = TURN
        try:
            while self._waiting and self._left > 0:
                self._serve(self._waiting.popleft())
        finally:
            self._scheduled = bool(self._waiting) or self._left < TURN
            if self._scheduled:
                asyncio.get_running_loop().call_soon(self._turn)

    def _serve(self, reader: Reader) -> None:
        self._left -= reader.read(SHARE)
        if reader.has_more:
            self._waiting.append(reader)
