"""Runs jobs on the steps of the present generation, and says what became of each. A Performer.

Owns the difference between a job that failed and one that was only interrupted: what a reload, a deploy or a
full house ends is handed on and counts as no attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from headwater.errors import HandlerFailed, HeadwaterError, Overloaded, RunLost, TimedOut, UnknownStep
from headwater.logline import Line, tell
from headwater.model import Origin
from headwater.steps.consumers import Worked
from headwater.steps.generation import Generation
from headwater.steps.project.declare import EventStep
from headwater.steps.project.triggers.condition import CONDITION
from headwater.steps.project.triggers.cron import CRON
from headwater.steps.project.triggers.event import EVENT
from headwater.steps.project.triggers.kind import Attempt, Failure
from headwater.steps.workers.invocation import Invocation
from headwater.work.attempt import Failure as Failed
from headwater.work.attempt import HandedOn
from headwater.work.consumer import Consumer
from headwater.work.job import Job

log = logging.getLogger("headwater.work")

_CUT = "The handler failed while its code was replaced or the server ended, which counts as no attempt"


class Generations(Protocol):
    """Whoever knows which generation serves."""

    @property
    def current(self) -> Generation:
        """The one that serves."""
        ...

    @property
    def queues(self) -> Mapping[str, Worked]:
        """Its steps that do work, by the names of their queues."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing is served any more."""
        ...


class StepPerformer:
    """Runs jobs as invocations of their steps."""

    def __init__(self, generations: Generations) -> None:
        self._generations = generations
        self._running: dict[str, Invocation] = {}

    async def perform(self, job: Job, payload: bytes, *, resumed: bool) -> Failed | None:
        """See Performer.

        - The project has no such step now, or the server is ending: handed on, it counts as no attempt.
        - No worker is free: handed on as well.
        - It failed while its generation was replaced or the server ended, which may be why: handed on.
        - It failed by itself: with the reason that user code gave, where it did.
        """
        generation, step = self._generations.current, self._generations.queues.get(job.queue)
        executor = generation.executors.get(step.language) if step is not None else None
        if step is None or executor is None or self._generations.closed:
            raise HandedOn
        origin = Origin(step.name, job.trace, job.depth, job.auth, job.links)
        attempt = Attempt(job.id, job.attempts, resumed, payload, origin)
        watch = partial(self._begun, job.id)
        try:
            if isinstance(step, EventStep):
                await executor.run(EVENT, step, attempt, origin, watch=watch)
            else:
                await executor.run(CRON, step, attempt, origin, watch=watch)
        except Overloaded as error:
            raise HandedOn from error
        except HeadwaterError as error:
            cause = error.__cause__
            if self._generations.closed or self._generations.current is not generation:
                if isinstance(cause, Failure) and not cause.cancelled:
                    line = Line(job.queue, job.trace, {"job": job.id}, cause.traceback)
                    tell(log, logging.WARNING, line, "%s; it runs again elsewhere: %s", _CUT, cause.reason)
                raise HandedOn from error
            if isinstance(cause, Failure):
                return Failed(error.code, cause.reason, cause.traceback)
            return Failed(error.code, error.message)
        finally:
            self._running.pop(job.id, None)
        return None

    async def condition(self, consumer: Consumer, reaction: bytes, origin: Origin) -> bool:
        """See Conditions. One that raises or hangs is told in the log, and wants nothing."""
        step = self._generations.queues.get(consumer.name)
        executor = self._generations.current.executors.get(step.language) if step is not None else None
        if executor is None or not isinstance(step, EventStep):
            raise UnknownStep(f'The step "{consumer.name}" is no longer part of the project.')
        try:
            return await executor.run(CONDITION, step, reaction, origin._replace(step=step.name))
        except (HandlerFailed, TimedOut):
            return False

    def _begun(self, run: str, invocation: Invocation) -> None:
        self._running[run] = invocation

    def cancel(self, run: str) -> None:
        """See Performer."""
        invocation = self._running.get(run)
        if invocation is None or invocation.holder is None:
            return
        invocation.holder.cancel(invocation)
        if not invocation.started:
            invocation.fail(RunLost("The run was cancelled before its handler began."))
