"""How far the message that comes in on a connection has come, and whether it is late. Pure: told the time.

A message is a request from its first byte to the last one of its body. Its head must be whole within
`read_timeout`; of its body, enough must come in each such period.
"""

from __future__ import annotations

LEAST_BODY_BYTES = 1024
"""Bytes of a body that must arrive within each `read_timeout`; fewer and the client only holds a place."""


class Arrival:
    """The message of one connection. `size` counts the bytes since its head or its body began, or since the
    period in which the body is looked at did. `around` counts those since a piece of the body came: sizes of
    chunks, and trailers."""

    __slots__ = ("_since", "around", "in_headers", "in_message", "size")

    def __init__(self, now: float) -> None:
        self.in_message = False
        self.in_headers = True
        self.size = 0
        self.around = 0
        self._since = now

    @property
    def in_body(self) -> bool:
        """Whether the head is whole and the body is not."""
        return self.in_message and not self.in_headers

    @property
    def beside_body(self) -> int:
        """Bytes of the head, or of what stands around the body, since any of that came."""
        if not self.in_message:
            return 0
        return self.size if self.in_headers else self.around

    def add(self, size: int) -> None:
        """So many bytes came."""
        self.size += size
        self.around += size

    def begin(self, now: float) -> None:
        """The first byte of a message; what came with it is counted already."""
        self.in_message = self.in_headers = True
        self._since = now

    def end_headers(self, now: float) -> None:
        """The head is whole."""
        self.in_headers = False
        self.around = 0
        self.begin_period(now)

    def begin_period(self, now: float) -> None:
        """The next `read_timeout` begins."""
        self.size = 0
        self._since = now

    def end(self) -> None:
        """The message is whole, or given to others."""
        self.in_message = False
        self.size = 0

    def left(self, now: float, limit: float) -> float:
        """Seconds until the period of `limit` seconds ends."""
        return self._since + limit - now

    def is_enough(self) -> bool:
        """Whether what came in this period is enough for another one."""
        return not self.in_headers and self.size >= LEAST_BODY_BYTES
