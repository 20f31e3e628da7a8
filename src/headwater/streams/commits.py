"""The commit queue: every write and ephemeral event of the process, in the order it was begun.

Owns group commit: while one commit is under way, what comes meanwhile gathers and becomes the next one. Owns
the order of publishing: changes and events leave in the order of the queue, before the futures of the writes
resolve. Knows the storage contract and whoever is to be told; no schema, no wire, no socket.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from headwater.clock import Stamps
from headwater.errors import HeadwaterError, StoreUnavailable, TooMany
from headwater.model import Change, Signal, Write
from headwater.storage.base import Outcome, Repeated, Store

log = logging.getLogger("headwater.streams")

MAX_BATCH_WRITES = 1024
"""Writes in one commit. Beyond a thousand the share of the sync in a write's cost is under a microsecond."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Data in one commit, so that a queue of big items does not keep small ones waiting for seconds."""


ENTRY_BYTES = 2000
"""What a waiting entry costs beside its data: futures, tuples, names, functions (measured, rounded up)."""


class _Entry(NamedTuple):
    what: Write | Signal
    future: Future[Any]
    size: int


Published = Change | Signal
Publish = Callable[[Sequence[Published]], None]


class CommitQueue:
    """Takes writes and events at once, commits them in batches, and publishes what became of them.

    `publish` is called once per batch, on the loop, with changes and events in order.
    """

    def __init__(self, store: Store, stamps: Stamps, publish: Publish, *, max_pending_bytes: int) -> None:
        self._store = store
        self._stamps = stamps
        self._publish = publish
        self._max_bytes = max_pending_bytes
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self._kept = store.stamp

    @property
    def pending_bytes(self) -> int:
        """What waits for a commit, in bytes; callers may slow down before it is refused."""
        return self._bytes

    def add(self, what: Write | Signal, *, extra_bytes: int = 0) -> Future[Any]:
        """Take a write or an event into the order. The future answers a Change, None, or raises a
        HeadwaterError.

        `extra_bytes` is what the write holds on to beside its data, as an update its operations.

        The future raises TooMany when more than the limit waits already, StoreUnavailable after `close`.
        """
        future: Future[Any] = asyncio.get_running_loop().create_future()
        size = ENTRY_BYTES + extra_bytes + len(what.data if isinstance(what, Write) else what.body)
        if self._closed:
            future.set_exception(StoreUnavailable("The server is shutting down; the write was not taken."))
        elif self._bytes and self._bytes + size > self._max_bytes:
            future.set_exception(
                TooMany(
                    f"More than {self._max_bytes} bytes of writes wait for the store.",
                    hint="Write more slowly, or raise [storage] max_pending_bytes.",
                    limit=self._max_bytes,
                )
            )
        else:
            self._entries.append(_Entry(what, future, size))
            self._bytes += size
            if self._running is None:
                self._running = asyncio.create_task(self._run())
        return future

    def keep_stamp(self) -> None:
        """Have the store keep the highest stamp issued, unless a write did: the next process begins above it.

        Frames that no write caused take stamps too, and the clock may go back before the next start. To be
        called now and then.
        """
        if self._running is None and not self._closed and self._stamps.last > self._kept:
            self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Refuse new entries, wait until those taken are committed or refused, and keep the last stamp."""
        self._closed = True
        while self._running is not None:
            await asyncio.wait([self._running])
        if self._stamps.last > self._kept:
            await self._keep_stamp()

    async def _run(self) -> None:
        try:
            if not self._entries:
                await self._keep_stamp()
            while self._entries:
                await self._commit(self._take())
        finally:
            self._running = None

    async def _keep_stamp(self) -> None:
        stamp = self._stamps.last
        try:
            await self._store.commit([], stamp=stamp)
        except Exception as error:
            log.debug("The last stamp could not be kept: %s", error)
        else:
            self._kept = stamp

    def _take(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size = 0
        while self._entries and len(batch) < MAX_BATCH_WRITES and size < MAX_BATCH_BYTES:
            entry = self._entries.popleft()
            batch.append(entry)
            size += entry.size
        return batch

    async def _commit(self, batch: list[_Entry]) -> None:
        """Commit one batch, publish it, answer its futures."""
        outcomes = await self._outcomes([entry.what for entry in batch if isinstance(entry.what, Write)])
        answers = iter(outcomes)
        results = [next(answers) if isinstance(entry.what, Write) else entry.what for entry in batch]
        try:
            self._publish([result for result in results if isinstance(result, (Change, Signal))])
        except Exception:
            # Subscribers repair themselves by catching up; the writes are committed all the same.
            log.exception("Publishing a batch of %d failed", len(batch))
        for entry, result in zip(batch, results, strict=True):
            self._bytes -= entry.size
            _answer(entry.future, result)

    async def _outcomes(self, writes: list[Write]) -> Sequence[Outcome]:
        if not writes:
            return []
        stamp = self._stamps.next()
        try:
            outcomes = await self._store.commit(writes, stamp=stamp)
        except HeadwaterError as error:
            return [error] * len(writes)
        except Exception as error:
            log.exception("The store failed in an unknown way")
            return [StoreUnavailable(f"The store failed: {type(error).__name__}.")] * len(writes)
        if len(outcomes) != len(writes):
            log.error("The store answered %d of %d writes", len(outcomes), len(writes))
            return [StoreUnavailable("The store lost count; what became of the write is not known.")] * len(
                writes
            )
        if any(isinstance(outcome, Change) for outcome in outcomes):
            self._kept = stamp
        return outcomes


def _answer(future: Future[Any], result: Outcome | Signal) -> None:
    if future.done():
        return
    if isinstance(result, HeadwaterError):
        future.set_exception(result)
    else:
        change = result.change if isinstance(result, Repeated) else result
        future.set_result(None if isinstance(change, Signal) else change)
