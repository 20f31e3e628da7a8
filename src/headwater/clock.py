"""Time, injected. Owns the wall clock, the monotonic clock and the stamps of protocol v0.

It orders nothing by itself: versions do.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where time is read; tests pass their own."""

    def now(self) -> float:
        """Wall time in seconds since 1970-01-01 UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start. It never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Wall time in seconds since 1970-01-01 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return time.monotonic()


class ForwardClock:
    """A clock whose wall time never goes back: where the one below is set back, it goes on at the monotonic
    pace, so that what waits for a time waits no longer. It follows that one forward."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.now()
        self._ran = clock.monotonic()

    def now(self) -> float:
        """Wall time in seconds since 1970-01-01 UTC, or ahead of it."""
        ran = self._clock.monotonic()
        self._last = max(self._clock.now(), self._last + ran - self._ran)
        self._ran = ran
        return self._last

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return self._clock.monotonic()


STAMP_STEP_MS = 0.001
"""The least distance of two stamps. Whole milliseconds would run ahead of the clock above 1000 writes/s."""

RESTART_SLACK_MS = 1000.0
"""How far a restart begins above the highest stamp that the store kept. Frames sent after the last commit
(snapshots, events) took stamps too; the commit queue has the highest kept at the end, and twice a second
before that, so a second covers a crash."""


LEAP_SECONDS = 60.0
"""What a clock may be set on by and is believed at once. What keeps clocks right sets them by less."""

DOUBT_SECONDS = 600.0
"""For how long a leap is not believed: time enough to set a clock right."""


class DoubtingClock:
    """A clock for what deletes: wall time that leaps ahead, by more than LEAP_SECONDS beyond what has run, is
    believed once it has been so for DOUBT_SECONDS. Until then it goes on from where it was, so that a clock
    that was wrong for a moment takes nothing along. It follows that below back at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.now()
        self._ran = clock.monotonic()
        self._leapt_at: float | None = None

    def now(self) -> float:
        """Wall time in seconds since 1970-01-01 UTC, or what it was before a leap and what has run since."""
        wall, ran = self._clock.now(), self._clock.monotonic()
        expected = self._last + ran - self._ran
        self._ran = ran
        if wall <= expected + LEAP_SECONDS:
            self._leapt_at = None
        elif self._leapt_at is None:
            self._leapt_at = ran
        believed = self._leapt_at is None or ran - self._leapt_at >= DOUBT_SECONDS
        if believed:
            self._leapt_at = None
        self._last = wall if believed else expected
        return self._last

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return self._clock.monotonic()


class Stamps:
    """Issues strictly increasing stamps in milliseconds since 1970, close to the wall clock.

    One issuer serves the whole process, so stamps increase for every group in it. `floor` is the highest
    stamp known from before this process (0 for none); the first stamp lies above it, whatever the clock says.
    """

    __slots__ = ("_clock", "_last")

    def __init__(self, clock: Clock, floor: float = 0.0) -> None:
        self._clock = clock
        self._last = floor + RESTART_SLACK_MS if floor else 0.0

    @property
    def last(self) -> float:
        """The highest stamp issued, or what the first one must lie above."""
        return self._last

    def next(self) -> float:
        """A new stamp: `max(now, last + STAMP_STEP_MS)`, at three decimals."""
        self._last = round(max(self._clock.now() * 1000.0, self._last + STAMP_STEP_MS), 3)
        return self._last
