"""When a job that failed is tried again. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headwater.work.job import Job

HAND_ON_SECONDS = 0.05
"""How long a job that was handed on waits at least: who had no room for it has none in the same moment."""

MOST_DOUBLINGS = 60
"""Beyond them a delay is above every cap, and a float would overflow."""


def due_at_start(job: Job, now: float, most: float) -> float:
    """When a job that the store kept comes due, for a process that begins `now`. The clock may have been set
    back since: it waits no longer than it would have waited then, which after a failure is `most` seconds."""
    wait = most if job.status == "retrying" else max(job.due - job.at, 0.0)
    return min(job.due, now + wait)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential: `first` seconds after the first failure, doubled after each more, at most `most`."""

    first: float
    most: float

    def delay(self, failures: int, chance: Callable[[], float]) -> float:
        """Seconds until the next try, after so many failures in a row (at least 1).

        `chance` answers 0 to 1: half of the delay is jitter, so that jobs that failed together do not come
        back together.
        """
        full = min(self.first * 2.0 ** min(failures - 1, MOST_DOUBLINGS), self.most)
        return full * (0.5 + chance() / 2)
