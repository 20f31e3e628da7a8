"""What there is of work, for people to look at: each queue, and all that is known of one job. Reads only.

The numbers of a queue are in memory, so that a look costs nothing however many jobs wait.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from headwater.errors import JobUnknown
from headwater.model import GroupKey
from headwater.storage.base import Store
from headwater.work.cron import Cron
from headwater.work.dispatcher import Dispatcher
from headwater.work.job import DEAD, DONE
from headwater.work.ledger import Ledger
from headwater.work.queues import Queue

GROUPS_AT_ONCE = 1000
ID_TIME_DIGITS = 11
"""Of a job's id: its time in ms, in hex (see `events.new_id`)."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue as it is now.

    `kind` is "lost" where the project has no such step. `waiting` are those that wait and have not failed,
    `retrying` those that wait and have. `oldest` is when the first of them came, `next` when a cron step
    comes due, both in wall seconds.
    """

    step: str
    kind: Literal["event", "cron", "lost"]
    file: str = ""
    topics: tuple[str, ...] = ()
    fifo: bool = False
    concurrency: int = 0
    waiting: int = 0
    running: int = 0
    retrying: int = 0
    dead: int = 0
    paused: bool = False
    oldest: float | None = None
    next: float | None = None


@dataclass(frozen=True, slots=True)
class RunState:
    """A run under way. `at` is when its event came, in wall seconds."""

    id: str
    step: str
    topic: str
    status: str
    attempts: int
    at: float
    trace: str


class Overview:
    """Looks at the work of a server."""

    def __init__(self, store: Store, ledger: Ledger, dispatcher: Dispatcher, cron: Cron) -> None:
        self._store = store
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._cron = cron

    async def queues(self, paused: frozenset[str]) -> list[QueueState]:
        """Each queue that a step consumes, or that holds jobs or dead letters, by name.

        :raises StoreUnavailable: the store cannot be read.
        """
        dead = {group: count async for group, count in groups_of(self._store, DEAD)}
        consumers = self._dispatcher.consumers
        held = {queue.name: queue for queue in self._dispatcher.queues}
        names = {*consumers.names, *dead, *(name for name, queue in held.items() if queue.held)}
        upcoming = self._cron.next_runs()
        return [
            self._state(name, held.get(name) or Queue(name), dead.get(name, 0), upcoming, name in paused)
            for name in sorted(names)
        ]

    def _state(
        self, name: str, queue: Queue, dead: int, upcoming: dict[str, float | None], paused: bool
    ) -> QueueState:
        consumer = self._dispatcher.consumers.named(name)
        first = next(iter(queue.held), None)
        return QueueState(
            step=name,
            kind="lost" if consumer is None else "cron" if name in upcoming else "event",
            file=consumer.file if consumer is not None else "",
            topics=consumer.topics if consumer is not None else (),
            fifo=consumer is not None and consumer.fifo,
            concurrency=consumer.concurrency if consumer is not None else 0,
            waiting=len(queue.held) - queue.running - queue.retrying,
            running=queue.running,
            retrying=queue.retrying,
            dead=dead,
            paused=paused,
            oldest=None if first is None else int(first[:ID_TIME_DIGITS], 16) / 1000,
            next=upcoming.get(name),
        )

    def running(self, step: str | None) -> list[RunState]:
        """The runs under way, of a step or of all, in the order in which these attempts began."""
        jobs = [attempt.job for attempt in self._dispatcher.attempts.under_way.values()]
        return [
            RunState(job.id, job.queue, job.topic, job.status, job.attempts, job.at, job.trace)
            for job in jobs
            if step in (None, job.queue)
        ]

    async def job(self, job: str) -> dict[str, Any]:
        """All that is known of a job, as plain values: its payload as `data`, the names of the steps that its
        run has kept as `kept`.

        One that has ended well has no payload any more.

        :raises JobUnknown: there is none.
        :raises StoreUnavailable: the store cannot be read.
        """
        for queue in self._dispatcher.queues:
            if job in queue.held and (known := await self._ledger.read(queue.name, job)) is not None:
                payload = await self._ledger.payload(known)
                kept = await self._ledger.kept(known)
                return {**_shown(known.encode()), "kept": kept, "data": orjson.loads(payload)}
        for stream in (DEAD, DONE):
            async for group, _ in groups_of(self._store, stream):
                item = await self._store.get(GroupKey(stream, group), job)
                if item is not None:
                    return _shown(item.data)
        raise JobUnknown(
            f"There is no event or run {job[:100]!r}.",
            hint="What has ended is kept for a time only ([work] finished_age, dead_age).",
            job=job[:100],
        )


def _shown(text: bytes) -> dict[str, Any]:
    """What a job says, without who caused it: that is for the step alone."""
    members: dict[str, Any] = orjson.loads(text)
    members.pop("auth", None)
    return members


async def groups_of(store: Store, stream: str) -> AsyncGenerator[tuple[str, int]]:
    """The groups of a stream with how many items each holds.

    :raises StoreUnavailable: the store cannot be read.
    """
    after = ""
    while True:
        found = await store.groups(stream, after=after, limit=GROUPS_AT_ONCE)
        for info in found:
            yield info.group, info.items
        if len(found) < GROUPS_AT_ONCE:
            return
        after = found[-1].group
