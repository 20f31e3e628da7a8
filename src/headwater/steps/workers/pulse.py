"""Whether a worker's loop is alive, and what excuses it when it does not answer. Pure: it is told the time.

A ping that is not answered within `stall_after` seconds makes the worker stalled, but only when two looks in
a row find it so: between them the server has read its sockets, so an answer that was merely unread counts.
"""

from __future__ import annotations

PING_EVERY = 5.0
"""How far apart pings to a busy worker are, in units of `stall_after`."""

SOON = 0.5
"""In units of `stall_after`, how soon a tick comes while an answer is due or a ping is owed, and for how long
after an answer another ping waits for that tick."""

LARGE = 64 * 1024
"""Bytes from which on a frame counts as freight."""

SECONDS_PER_BYTE = 50e-9
"""For how long bytes that have left excuse their reader: as if it decoded 20 MB a second, which either worker
surpasses several times on a quiet machine."""

STANDSTILL = 1.0
"""Seconds without a byte moving after which bytes that are still here excuse nothing."""


class Pulse:
    """The state of one worker's loop. Times are in seconds of one monotonic clock. `owed`: the next tick is
    to ping it."""

    __slots__ = ("_answered_at", "_asked_at", "_doubted", "_number", "_stall_after", "owed", "stalled_since")

    def __init__(self, stall_after: float) -> None:
        self.stalled_since: float | None = None
        self.owed = False
        self._stall_after = stall_after
        self._number = 0
        self._asked_at: float | None = None
        self._answered_at = 0.0
        self._doubted = False

    @property
    def stalled(self) -> bool:
        """Whether the loop is taken for blocked."""
        return self.stalled_since is not None

    @property
    def asked(self) -> bool:
        """Whether a ping waits for its answer."""
        return self._asked_at is not None

    def ask(self, now: float) -> int:
        """A ping goes out now; answers its number."""
        self._number += 1
        self._asked_at = now
        self.owed = self._doubted = False
        return self._number

    def is_due(self, now: float) -> bool:
        """Whether a busy worker should be pinged now."""
        return not self.asked and (self.owed or now - self._answered_at >= PING_EVERY * self._stall_after)

    def want(self, now: float) -> bool:
        """The worker got one more thing to do, so it should be asked; whether at once.

        Where it has answered just now the ping is owed: the next tick, which is soon, makes one for all that
        it got until then. Under load each invocation would else carry a ping.
        """
        if self.asked:
            return False
        self.owed = now - self._answered_at < SOON * self._stall_after
        return not self.owed

    def answer(self, number: int, now: float) -> bool:
        """An answer came; True when it ends a stall. Answers to earlier pings count for nothing."""
        if number != self._number or self._asked_at is None:
            return False
        was_stalled = self.stalled
        self._asked_at, self.stalled_since, self._doubted = None, None, False
        self._answered_at = now
        return was_stalled

    def look(self, now: float) -> bool:
        """Judge the loop; True when it is found stalled for the first time."""
        if self.stalled or self._asked_at is None or now - self._asked_at < self._stall_after:
            self._doubted = False
            return False
        if not self._doubted:
            self._doubted = True
            return False
        self.stalled_since = self._asked_at
        return True

    def excuse(self, now: float) -> None:
        """The server itself was late or did not read: what is unanswered so far proves nothing."""
        self._doubted = False
        if self._asked_at is not None and not self.stalled:
            self._asked_at = now


class Freight:
    """Large frames on their way to a worker, which excuse it: reading and decoding them is no stall.

    Excused is a worker as long as the bytes move, and after that for a time in proportion to them.
    """

    __slots__ = ("_moved_at", "_size", "_unsent", "_until")

    def __init__(self) -> None:
        self._size = 0
        self._unsent = 0
        self._moved_at = 0.0
        self._until = 0.0

    def sent(self, size: int, now: float) -> None:
        """A frame of so many bytes is handed to the socket; small ones may be left untold."""
        self._size += size
        self._moved_at = now
        self._until = now + self._size * SECONDS_PER_BYTE

    def excuses(self, unsent: int, now: float) -> bool:
        """Whether the worker is excused; `unsent` bytes are still in this process."""
        if self._size == 0:
            return False
        if unsent:
            if unsent != self._unsent:
                self._unsent, self._moved_at = unsent, now
            self._until = now + self._size * SECONDS_PER_BYTE
            return now - self._moved_at < STANDSTILL
        if now < self._until:
            return True
        self._size = 0
        return False
