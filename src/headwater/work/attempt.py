"""One attempt at a job, as the dispatcher and whoever performs it tell each other of it. Owns the shapes
alone."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from headwater.work.job import Job
from headwater.work.queues import Waiting


class HandedOn(Exception):
    """Whoever performed it had to stop before it was done, through no fault of the job."""


class Failure(NamedTuple):
    """Why an attempt failed: a stable code, a line for people, the traceback of user code if there is one."""

    code: str
    message: str
    traceback: str = ""


class Attempt:
    """An attempt under way. `kept` are the names under which its run keeps results, in all attempts."""

    __slots__ = ("job", "kept", "waiting")

    def __init__(self, waiting: Waiting, job: Job, kept: set[str]) -> None:
        self.waiting = waiting
        self.job = job
        self.kept = kept


class Performer(Protocol):
    """Whoever runs the steps."""

    async def perform(self, job: Job, payload: bytes, *, resumed: bool) -> Failure | None:
        """Run one attempt to its end; None when it went well. `resumed`: the run has begun before.

        :raises HandedOn: it did not end, and is to be run again as if this attempt had not been.
        """
        ...

    def cancel(self, run: str) -> None:
        """Ask the attempt at a run that is under way to stop; `perform` ends when it has."""
        ...
