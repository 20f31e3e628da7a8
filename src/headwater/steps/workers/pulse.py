"""Whether a worker's loop is alive, from pings and their answers. Pure: it is told the time, sends nothing.

A ping that is not answered within `stall_after` seconds makes the worker stalled, but only when two looks in
a row find it so: between them the server has read its sockets, so an answer that was merely unread counts.
"""

from __future__ import annotations

PING_EVERY = 5.0
"""How far apart pings to a busy worker are, in units of `stall_after`."""


class Pulse:
    """The state of one worker's loop. Times are in seconds of one monotonic clock."""

    __slots__ = ("_answered_at", "_asked_at", "_doubted", "_number", "_stall_after", "stalled_since")

    def __init__(self, stall_after: float) -> None:
        self.stalled_since: float | None = None
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
        self._doubted = False
        return self._number

    def is_due(self, now: float) -> bool:
        """Whether a busy worker should be pinged now."""
        return not self.asked and now - self._answered_at >= PING_EVERY * self._stall_after

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
