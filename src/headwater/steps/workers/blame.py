"""Who is to blame when a worker is lost or has to go, and what follows for that step: told, and kept apart.

Owns the words of the log and the way to the verdicts; which step it was is `crashes.py`'s, what to do with
the worker the pool's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from headwater.clock import Clock
from headwater.errors import StepCrashes
from headwater.logline import Line, tell
from headwater.steps.workers.blocking import Verdicts
from headwater.steps.workers.crashes import Crashes
from headwater.steps.workers.invocation import Invocation

log = logging.getLogger("headwater.steps")

WENT_ON = (
    "%s did not stop %g s after its time; its worker takes nothing more, and ends as soon as nothing else "
    "runs on it. The step runs in processes of its own from now on"
)
PAUSED = (
    "%s has ended its process too often, and is not run for %.0f s. What ends a process (a crash of a native "
    "library, os._exit, too much memory) cannot be caught; mend it, or use a subprocess"
)


class Blame:
    """The blame within one pool."""

    def __init__(self, verdicts: Verdicts, clock: Clock) -> None:
        self._verdicts = verdicts
        self._crashes = Crashes(clock)

    def went_on(self, worker: int, invocation: Invocation, patience: float) -> None:
        """Something runs `patience` seconds after its time on the worker of that process id."""
        line = Line(invocation.step, invocation.trace, {"file": invocation.file, "pid": worker})
        tell(log, logging.ERROR, line, WENT_ON, invocation.file, patience)
        self._verdicts.harms(invocation.file)

    def died(self, files: Sequence[str]) -> None:
        """A worker has died while code of these files ran on it."""
        for file in self._crashes.died(files):
            line = Line(fields={"file": file})
            if self._verdicts.harms(file):
                tell(
                    log,
                    logging.ERROR,
                    line,
                    "%s ended its process; it runs in processes of its own now",
                    file,
                )
            if (pause := self._crashes.pause(file)) > 0:
                tell(log, logging.ERROR, line, PAUSED, file, pause)

    def ended_at(self, file: str, how: str) -> None:
        """A worker has ended while it entered the lifespan of that file; nothing else ran there yet."""
        text = "%s ended its process (%s) before its yield; nothing can run until that is mended"
        tell(log, logging.ERROR, Line(fields={"file": file}), text, file, how)

    def refusal(self, file: str) -> StepCrashes | None:
        """What whoever wants a step to run is told while it has to pause."""
        return self._crashes.refusal(file)
