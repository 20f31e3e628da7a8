"""What becomes of jobs, committed: each step of a job's life is one unit of the commit queue.

Owns which items are written when. A job is one item of `headwater.jobs` from the moment it is accepted until
the unit that settles it, which deletes it and leaves what the manual promises to keep. Knows the commit queue
and the storage contract; not what is due, and no step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any

import orjson

from headwater.clock import Clock
from headwater.config import WorkSettings
from headwater.errors import StoreUnavailable
from headwater.model import Change, GroupKey, Origin, Unit, Write
from headwater.storage.base import BEGINNING, Store
from headwater.streams.commits import CommitQueue
from headwater.work.job import (
    DEAD,
    DONE,
    JOBS,
    KEPT,
    PAYLOADS,
    Accepted,
    Ending,
    Job,
    decode,
    ended,
    payload_item,
)

KEPT_PAGE_ITEMS = 500
KEPT_PAGE_BYTES = 4 * 1024 * 1024
"""Of a look at the names of what a run has kept, whose values are read with them."""

PAGE_BYTES = 1024 * 1024
"""Of a scan: some thousand jobs, so that a start with many needs little memory at once."""


class Ledger:
    """Writes and reads jobs."""

    def __init__(self, store: Store, queue: CommitQueue, settings: WorkSettings, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._settings = settings
        self._clock = clock

    def enqueue(
        self,
        jobs: Sequence[tuple[Job, bytes]],
        key: str | None = None,
        beside: Sequence[Write] = (),
        settles: Sequence[int] = (),
    ) -> asyncio.Future[Accepted]:
        """Accept jobs (see `with_payload`) with their payloads, all or none.

        A `key` that was used before accepts none of them again. The writes `beside` are committed and the
        outbox entries settled with them.

        :raises StoreUnavailable: (in the future, or a subclass, Conflict or TooMany) none was accepted.
        """
        writes = [*beside, *(write for job, payload in jobs for write in _entering(job, payload))]
        newest = jobs[-1][0].id if jobs else None

        def answer(changes: Sequence[Change]) -> Accepted:
            # Of a repeated unit the first one's changes are told, which are about other jobs.
            runs = {change.group.group: change.id for change in changes if change.group.stream == JOBS}
            return Accepted(runs, newest is not None and changes[-1].id != newest)

        return self._queue.add_unit(Unit(writes, key=key, settles=settles), answer=answer)

    def bury(self, jobs: Sequence[Job], ending: Ending, payload: bytes, settles: int) -> asyncio.Future[Any]:
        """Keep jobs as dead letters that were never accepted, and settle the outbox entry that made them."""
        expires = self._clock.now() + self._settings.dead_age
        writes = [
            _set(GroupKey(DEAD, job.queue), job.id, ended(job, ending, payload), job, expires) for job in jobs
        ]
        return self._queue.add_unit(Unit(writes, settles=(settles,)))

    def rewrite(self, job: Job) -> asyncio.Future[Any]:
        """Keep a job's new status, attempts and due time."""
        write = _set(GroupKey(JOBS, job.queue), job.id, job.encode(), job)
        return self._queue.add(write, answer=lambda _change: None)

    def keep(self, write: Write) -> asyncio.Future[Any]:
        """Commit a write that goes with work."""
        return self._queue.add(write)

    def put(self, write: Write) -> None:
        """Commit a write that goes with work, and that nobody waits for."""
        self._queue.put(write)

    def settle(
        self, job: Job, ending: Ending, payload: bytes | None, kept: Collection[str] = ()
    ) -> asyncio.Future[Any]:
        """End a job: it is deleted with its kept steps, and what is left of it is kept for its time.

        Dead ones keep the payload.
        """
        writes = _leaving(job)
        writes += [Write(GroupKey(KEPT, job.id), name, "delete", history=False) for name in kept]
        ttl = self._settings.dead_age if ending.status == "dead" else self._settings.finished_age
        if ttl and (ending.status == "dead" or self._settings.finished_count):
            stream = DEAD if ending.status == "dead" else DONE
            text = ended(job, ending, payload if ending.status == "dead" else None)
            expires = self._clock.now() + ttl
            writes.append(_set(GroupKey(stream, job.queue), job.id, text, job, expires))
        return self._queue.add_unit(Unit(writes))

    def drop(self, job: Job, kept: Collection[str] = ()) -> asyncio.Future[Any]:
        """Delete a job and its kept steps; nothing is left of it."""
        writes = _leaving(job)
        writes += [Write(GroupKey(KEPT, job.id), name, "delete", history=False) for name in kept]
        return self._queue.add_unit(Unit(writes))

    def revive(self, job: Job, payload: bytes, version: int) -> asyncio.Future[Accepted]:
        """Let a dead job be tried again as if it were new; `version` is that of its item.

        The future raises Conflict where it is not dead any more.
        """
        gone = Write(GroupKey(DEAD, job.queue), job.id, "delete", if_version=version, history=False)
        revived = Accepted({job.queue: job.id})
        return self._queue.add_unit(Unit([gone, *_entering(job, payload)]), answer=lambda _changes: revived)

    async def read(self, queue: str, job: str) -> Job | None:
        """A job that is not settled, or None.

        :raises StoreUnavailable: the store cannot be read.
        """
        item = await self._store.get(GroupKey(JOBS, queue), job)
        return None if item is None else decode(queue, item.data)

    def keep_value(self, job: Job, name: str, value: bytes) -> asyncio.Future[Any]:
        """Keep a value, as JSON text, with a run."""
        text = b'{"id":%b,"value":%b}' % (orjson.dumps(name), value)
        return self._queue.add(_set(GroupKey(KEPT, job.id), name, text, job), answer=lambda _change: None)

    async def kept_value(self, run: str, name: str) -> bytes | None:
        """What was kept under a name, as the JSON text of `{"id", "value"}`.

        :raises StoreUnavailable: the store cannot be read.
        """
        item = await self._store.get(GroupKey(KEPT, run), name)
        return None if item is None else item.data

    async def kept(self, job: Job) -> list[str]:
        """The names of the steps that a run has kept.

        :raises StoreUnavailable: the store cannot be read.
        """
        names: list[str] = []
        before: int | None = None
        while True:
            page = await self._store.window(
                GroupKey(KEPT, job.id), before=before, limit=KEPT_PAGE_ITEMS, limit_bytes=KEPT_PAGE_BYTES
            )
            names += [item.id for item in page.items]
            if page.complete or not page.items:
                return names
            before = page.items[0].created

    async def payload(self, job: Job) -> bytes:
        """A job's payload as JSON text.

        :raises StoreUnavailable: the store cannot be read, or has lost it.
        """
        if job.data is not None:
            return job.data
        item = await self._store.get(GroupKey(PAYLOADS, job.queue), job.id)
        if item is None:
            raise StoreUnavailable(f"The payload of job {job.id} is gone.", job=job.id)
        return orjson.dumps(orjson.loads(item.data)["data"])

    async def all(self) -> AsyncGenerator[Job]:
        """Every job that is not settled, queue by queue in the order of coming.

        :raises StoreUnavailable: the store cannot be read.
        """
        cursor = BEGINNING
        while cursor is not None:
            scan = await self._store.scan(JOBS, after=cursor, limit_bytes=PAGE_BYTES)
            for group, item in scan.items:
                yield decode(group, item.data)
            cursor = scan.cursor


def _set(group: GroupKey, item: str, data: bytes, job: Job, expires: float | None = None) -> Write:
    origin = Origin(job.queue, job.trace)
    return Write(group, item, "set", data, origin=origin, expires=expires, history=False)


def _entering(job: Job, payload: bytes) -> list[Write]:
    group = GroupKey(JOBS, job.queue)
    if job.data is not None:
        return [_set(group, job.id, job.encode(), job)]
    beside = _set(GroupKey(PAYLOADS, job.queue), job.id, payload_item(job.id, payload), job)
    return [beside, _set(group, job.id, job.encode(), job)]


def _leaving(job: Job) -> list[Write]:
    writes = [Write(GroupKey(JOBS, job.queue), job.id, "delete", history=False)]
    if job.data is None:
        writes.append(Write(GroupKey(PAYLOADS, job.queue), job.id, "delete", history=False))
    return writes
