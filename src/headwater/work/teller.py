"""What becomes of jobs, told to the observer, and to the log where an attempt failed. Knows no store and no
queue."""

from __future__ import annotations

import logging

from headwater.logline import Line, tell
from headwater.observe import SILENT, Observer
from headwater.observe import Job as Told
from headwater.work.attempt import Failure
from headwater.work.job import Ending, Job
from headwater.work.topics import CRON_TOPIC

log = logging.getLogger("headwater.work")


class Teller:
    """Tells it; to an observer that nobody listens to for the price of one look."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def accepted(self, job: Job) -> None:
        """A job was committed."""
        if self._observer.listening:
            self._observer.job_accepted(_told(job))

    def begun(self, job: Job) -> None:
        """An attempt begins."""
        if self._observer.listening:
            self._observer.job_begun(_told(job))

    def retried(self, job: Job, failure: Failure, wait: float) -> None:
        """An attempt failed; the next comes after so many seconds."""
        _tell(logging.WARNING, job, failure, f"is tried again in {wait:.1f} s")
        self._observer.job_retried(_told(job), failure.code, wait)

    def given_up(self, job: Job, failure: Failure) -> None:
        """The last attempt failed. `ended` tells the observer."""
        times = f"{job.attempts} attempt{'s' if job.attempts != 1 else ''}"
        _tell(logging.ERROR, job, failure, f"is given up after {times}")

    def ended(self, job: Job, ending: Ending) -> None:
        """A job is over."""
        if self._observer.listening:
            self._observer.job_ended(_told(job), ending.status, ending.code)


QUIET = Teller(SILENT)
"""Tells the log alone."""


def _told(job: Job) -> Told:
    return Told(job.queue, job.topic, job.id, job.attempts, job.trace)


def _tell(level: int, job: Job, failure: Failure, what: str) -> None:
    """A failed attempt and what becomes of it, in one line, the traceback of user code below it. A run of a
    cron step is known by its step alone."""
    fields = {"job": job.id, "topic": job.topic, "attempt": job.attempts, "code": failure.code}
    line = Line(job.queue, job.trace, fields, failure.traceback)
    subject = "The run" if job.topic == CRON_TOPIC else f'The event "{job.topic}"'
    tell(log, level, line, "%s failed and %s: %s", subject, what, failure.message)
