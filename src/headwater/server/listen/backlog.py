"""What came in on a connection and is not parsed yet, and how much of it is parsed at a time. Pure.

A read of the socket can hold nine thousand small requests, and each that is parsed holds memory and some 25
us of the loop. So a read is parsed in pieces, and while enough requests of the connection wait for their
answers the rest stays as it came, and nothing more is read.
"""

from __future__ import annotations

MOST_WAITING = 16
"""Requests that wait for their answers, above which nothing more is parsed."""

HEAD_BYTES = 2048
"""Of a piece in which heads may be: some 80 of the smallest requests, and most requests are shorter."""

BODY_BYTES = 16 * 1024
"""Of a piece within a body."""


class Backlog:
    """The bytes of one connection."""

    __slots__ = ("_data", "_start")

    def __init__(self) -> None:
        self._data = b""
        self._start = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def add(self, data: bytes) -> None:
        """Bytes came in."""
        self._data = self._data[self._start :] + data if len(self) else data
        self._start = 0

    def take(self, *, in_body: bool) -> bytes:
        """The next piece to parse; empty where there is none."""
        start, end = self._start, self._start + (BODY_BYTES if in_body else HEAD_BYTES)
        if end >= len(self._data):
            return self.rest()
        self._start = end
        return self._data[start:end]

    def rest(self) -> bytes:
        """All of it, for whoever goes on with the connection."""
        rest = self._data[self._start :] if self._start else self._data
        self._data, self._start = b"", 0
        return rest
