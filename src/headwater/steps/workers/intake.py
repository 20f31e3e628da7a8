"""Back pressure from the store to the workers: how much they have asked to be written and is not yet.

Owns one number and who reads because of it. Above the limit every worker's socket is left unread; user code
that goes on writing then waits inside its call, and nothing is refused or buffered without bound.
"""

from __future__ import annotations

from typing import Protocol

CALL_OVERHEAD_BYTES = 1024
"""What one waiting call costs beside its data, roughly: objects, futures, its place in the queue."""


class Pausable(Protocol):
    """A socket that can be left unread."""

    def pause(self) -> None:
        """Stop reading."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...


class Intake:
    """The writes that are under way, in bytes. Full at `limit`, and no longer full at half of it."""

    def __init__(self, limit: int) -> None:
        self.full = False
        self.limit = limit
        self.held = 0
        """Bytes."""
        self._sockets: set[Pausable] = set()

    def attach(self, socket: Pausable) -> None:
        """From now on this socket is read only while there is room."""
        self._sockets.add(socket)
        if self.full:
            socket.pause()

    def detach(self, socket: Pausable) -> None:
        """The socket is gone."""
        self._sockets.discard(socket)

    def take(self, size: int) -> None:
        """A call with `size` bytes of data begins."""
        self.held += size + CALL_OVERHEAD_BYTES
        if not self.full and self.held > self.limit:
            self.full = True
            for socket in self._sockets:
                socket.pause()

    def give_back(self, size: int) -> None:
        """The call has been answered."""
        self.held -= size + CALL_OVERHEAD_BYTES
        if self.full and self.held <= self.limit // 2:
            self.full = False
            for socket in self._sockets:
                socket.resume()
