"""Runs cron steps by the clock. Each time that comes due becomes one job, so whatever holds for jobs holds
here.

Owns which times have been. No time runs twice, whatever the clock does and however often the server starts:
the job's key names step and time. A time that passed while no server ran, or was jumped over, is left out, or
made up for once (`[work] missed_cron`). Knows the dispatcher; no step, no worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import orjson

from headwater.clock import Clock
from headwater.config import WorkSettings
from headwater.model import GroupKey, Write
from headwater.storage.base import Store
from headwater.streams.catalog import StreamRules
from headwater.work.dispatcher import Dispatcher
from headwater.work.events import new_id
from headwater.work.job import Job
from headwater.work.schedule import last_time, next_time, times, zone
from headwater.work.topics import CRON_TOPIC

log = logging.getLogger("headwater.work")

CRON = "headwater.cron"
"""The hidden stream that remembers when each step last came due."""
CRON_STREAM = StreamRules(name=CRON, hidden=True, history="none")
_LASTS = "last"
"""Its only group; the items' ids are the names of steps."""

LATE_SECONDS = 60.0
"""A time found later than this was missed: the machine slept, or its clock was set forward."""
MOST_STEPS = 100_000
"""Cron steps whose last time is remembered."""
MOST_SECONDS = 60.0
"""Until the next look, as far away as the next time may be."""


@dataclass(frozen=True, slots=True)
class CronJob:
    """A cron step: its name, which is that of its queue, and its expression."""

    name: str
    expression: str


class Cron:
    """The clock of all cron steps."""

    def __init__(self, dispatcher: Dispatcher, store: Store, settings: WorkSettings, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._missed = settings.missed_cron
        self._clock = clock
        self._zone = zone(settings.time_zone)
        self._jobs: dict[str, CronJob] = {}
        self._last: dict[str, float] = {}
        """For each step, the last time that became a job or was left out."""
        self._timer: asyncio.TimerHandle | None = None
        self._started = False

    async def start(self) -> None:
        """Read when each step last came due, and begin.

        :raises StoreUnavailable: the store cannot be read.
        """
        lasts = GroupKey(CRON, _LASTS)
        page = await self._store.window(lasts, before=None, limit=MOST_STEPS, limit_bytes=MOST_STEPS * 1024)
        self._last = {item.id: orjson.loads(item.data)["at"] for item in page.items}
        self._started = True
        self.look()

    def take(self, jobs: Iterable[CronJob]) -> None:
        """A generation takes over: these steps run by the clock from now on."""
        self._jobs = {job.name: job for job in jobs}
        self.look()

    def next_runs(self) -> dict[str, float | None]:
        """When each step comes due next, in wall seconds; None for never."""
        now = self._clock.now()
        return {job.name: next_time(job.expression, self._zone, now) for job in self._jobs.values()}

    def look(self) -> None:
        """Make jobs of what has come due, and look again when the next does. To be called now and then as
        well: the clock may be set."""
        if not self._started:
            return
        now = self._clock.now()
        upcoming = [at for job in self._jobs.values() if (at := self._due_or_told(job, now)) is not None]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if upcoming:
            delay = max(min(upcoming) - now, 0.0)
            self._timer = asyncio.get_running_loop().call_later(min(delay, MOST_SECONDS), self.look)

    def _due_or_told(self, job: CronJob, now: float) -> float | None:
        """As `_due`; a step that fails here keeps no other from its time."""
        try:
            return self._due(job, now)
        except Exception:
            log.exception("When the cron step %s runs could not be told; it is looked at again", job.name)
            return None

    def _due(self, job: CronJob, now: float) -> float | None:
        """Make jobs of a step's times that have come; answers its next one.

        - Never seen before: its times begin now, also for a server that ends before the first.
        - Those of the last minute run, each.
        - Those before were missed: left out, or the last of them is made up for where none has come since.
        """
        last = self._last.get(job.name)
        if last is None:
            last = self._last[job.name] = now
            self._dispatcher.keep(_seen(job, now))
        since = max(last, now - LATE_SECONDS)
        come = list(takewhile(lambda at: at <= now, times(job.expression, self._zone, since)))
        if not come and self._missed == "once" and last < now - LATE_SECONDS:
            missed = last_time(job.expression, self._zone, now)
            come = [missed] if missed is not None and missed > last else []
        for at in come:
            self._run(job, at, now)
        self._last[job.name] = max([last, now - LATE_SECONDS, *come])
        return next_time(job.expression, self._zone, max(now, *come) if come else now)

    def _run(self, job: CronJob, at: float, now: float) -> None:
        made = Job(new_id(now), job.name, CRON_TOPIC, at=at, due=now)
        key = f"cron:{job.name}:{at:.0f}"
        self._dispatcher.accept([made], b"null", key, beside=[_seen(job, at)]).add_done_callback(
            lambda done: self._ran(job, done)
        )

    def _ran(self, job: CronJob, done: asyncio.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log.error("A run of the cron step %s could not be queued: %s", job.name, error)

    def close(self) -> None:
        """Look at the clock no more."""
        self._started = False
        if self._timer is not None:
            self._timer.cancel()


def _seen(job: CronJob, at: float) -> Write:
    """Remember that a step's times up to this one have been."""
    text = orjson.dumps({"id": job.name, "at": at})
    return Write(GroupKey(CRON, _LASTS), job.name, "set", text, history=False)
