"""A clock that moves only by hand."""

from __future__ import annotations


class HandClock:
    """A Clock. `time` is wall time in seconds; `ran` are the monotonic seconds."""

    def __init__(self, time: float = 1_760_000_000.0) -> None:
        self.time = time
        self.ran = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.ran
