"""What a session says to its client beside what feeds send: answers and refusals. None is lost.

Owns what could not be said because the socket was full. That is bounded: a full socket is not read, so all
that can come meanwhile are answers to what it had sent in one piece, and to questions that the gate had open.
"""

from __future__ import annotations

from headwater.model import Subscriber


class Answers:
    """The answers of one session, in order."""

    __slots__ = ("_socket", "_unsaid")

    def __init__(self, socket: Subscriber) -> None:
        self._socket = socket
        self._unsaid: list[bytes] | None = None  # Most sessions never need one.

    def say(self, answer: bytes) -> None:
        """Say it now, or once the socket has drained."""
        if self._unsaid or not self._socket.offer(answer):
            if self._unsaid is None:
                self._unsaid = []
            self._unsaid.append(answer)

    def drained(self) -> None:
        """Say what could not be said."""
        unsaid, self._unsaid = self._unsaid or (), None
        for answer in unsaid:
            self.say(answer)
