"""Dead letters: events that were given up, to look at, to try again, to throw away. Owns no rule of when
something dies; that is the dispatcher's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson

from headwater.clock import Clock
from headwater.errors import Conflict, JobUnknown
from headwater.model import GroupKey, Item, Unit, Write
from headwater.storage.base import Store
from headwater.streams.commits import CommitQueue
from headwater.work.dispatcher import Dispatcher
from headwater.work.job import DEAD, Job
from headwater.work.overview import groups_of
from headwater.work.pauses import check_known

PAGE_ITEMS = 100
PAGE_BYTES = 8 * 1024 * 1024


class DeadLetters:
    """All that was given up and is still kept."""

    def __init__(self, store: Store, queue: CommitQueue, dispatcher: Dispatcher, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._dispatcher = dispatcher
        self._clock = clock

    async def list(self, step: str | None, most: int) -> AsyncGenerator[dict[str, Any]]:
        """The newest `most` of each step or of one, the newest first, without their data and traceback.

        :raises StoreUnavailable: the store cannot be read.
        """
        async for _, page in self._pages(step, most):
            for item in page:
                letter = orjson.loads(item.data)
                del letter["data"]
                letter.pop("auth", None)
                letter["error"].pop("traceback", None)
                yield letter

    async def check_step(self, step: str) -> None:
        """See that there is a step of that name, or that something of it waits or is kept here.

        :raises UnknownStep: there is not.
        :raises StoreUnavailable: the store cannot be read.
        """
        check_known(step, self._dispatcher, [name async for name, _ in groups_of(self._store, DEAD)])

    async def retry(self, job: str) -> None:
        """Try one again, as if it were new.

        :raises JobUnknown: there is no dead letter of that id.
        :raises QueueFull: too many jobs wait.
        :raises StoreUnavailable: the store cannot be read or written.
        """
        async for step, _ in groups_of(self._store, DEAD):
            item = await self._store.get(GroupKey(DEAD, step), job)
            if item is not None and await self._revive(step, item):
                return
        raise JobUnknown(
            f"There is no dead letter {job[:100]!r}.",
            hint="`headwater queue dead` lists them; `headwater queue show ID` tells what became of one.",
            job=job[:100],
        )

    async def retry_all(self, step: str | None) -> AsyncGenerator[int]:
        """Try all of a step or of all steps again, those that died first first; tells how many at a time.

        :raises QueueFull: too many jobs wait; those before were taken up.
        :raises StoreUnavailable: the store cannot be read or written.
        """
        pages = [(name, page) async for name, page in self._ids(step)]
        for name, ids in reversed(pages):
            found = [await self._store.get(GroupKey(DEAD, name), job) for job in reversed(ids)]
            revived = await asyncio.gather(*(self._revive(name, item) for item in found if item is not None))
            yield sum(revived)

    async def purge(self, step: str | None) -> AsyncGenerator[int]:
        """Throw all of a step or of all steps away; tells how many at a time.

        :raises StoreUnavailable: the store cannot be read or written.
        """
        async for name, page in self._pages(step, None):
            group = GroupKey(DEAD, name)
            gone = Unit([Write(group, item.id, "delete", history=False) for item in page])
            changes: list[Any] = await self._queue.add_unit(gone)
            yield sum(change is not None for change in changes)

    async def _revive(self, step: str, item: Item) -> bool:
        """Whether it was dead still."""
        letter: dict[str, Any] = orjson.loads(item.data)
        job = Job(
            id=item.id,
            queue=step,
            topic=letter["topic"],
            at=letter["at"],
            due=self._clock.now(),
            lane=letter.get("group"),
            trace=letter["trace"],
            depth=letter.get("depth", 0),
            auth=orjson.dumps(letter["auth"]) if "auth" in letter else None,
        )
        try:
            await self._dispatcher.revive(job, orjson.dumps(letter["data"]), item.version)
        except Conflict:
            return False
        return True

    async def _ids(self, step: str | None) -> AsyncGenerator[tuple[str, list[str]]]:
        async for name, page in self._pages(step, None):
            yield name, [item.id for item in page]

    async def _pages(self, step: str | None, most: int | None) -> AsyncGenerator[tuple[str, list[Item]]]:
        """The dead letters, step by step, the newest first, a page at a time."""
        names = [step] if step is not None else [name async for name, _ in groups_of(self._store, DEAD)]
        for name in names:
            before, left = None, most
            while left is None or left > 0:
                limit = PAGE_ITEMS if left is None else min(left, PAGE_ITEMS)
                page = await self._store.window(
                    GroupKey(DEAD, name), before=before, limit=limit, limit_bytes=PAGE_BYTES
                )
                if page.items:
                    yield name, page.items[::-1]
                    before = page.items[0].created
                    left = None if left is None else left - len(page.items)
                if page.complete:
                    break
