"""The commit queue: every write, unit and ephemeral event of the process, in the order it was begun.

Owns group commit: while one commit is under way, what comes meanwhile gathers and becomes the next one,
together with what the loop has ready when it ends. Owns
the order of publishing: changes and events leave in the order of the queue, those of a unit in the order that
it says, before the futures resolve. Owns how large a unit may be. Knows the storage contract and whoever is
to be told; no schema, no wire, no socket.
"""

from __future__ import annotations

import asyncio
import logging
import time
import types
from asyncio import Future
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

from headwater.clock import Stamps
from headwater.errors import HeadwaterError, Limit, StoreUnavailable, TooLarge, TooMany
from headwater.holdings import Holdings
from headwater.model import Change, Signal, Unit, Write
from headwater.observe import SILENT, Batch, Observer
from headwater.storage.base import Committed, Repeated, Store, UnitOutcome

log = logging.getLogger("headwater.streams")

MAX_BATCH_WRITES = 1024
"""Writes in one commit. Beyond a thousand the share of the sync in a write's cost is under a microsecond."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Data in one commit, so that a queue of big items does not keep small ones waiting for seconds."""


ENTRY_BYTES = 2000
"""What a waiting entry costs beside its data: futures, tuples, names, functions (measured, rounded up)."""


MAX_UNIT_WRITES = 1000
"""Writes and signals of one unit, unless the settings say otherwise."""
MAX_UNIT_BYTES = 64 * 1024 * 1024
"""Data of one unit, unless the settings say otherwise: two items of the largest size."""

Answer = Callable[[Any], Any]
"""What a future answers instead of the Change (or None) that became of a write."""


class _Entry(NamedTuple):
    what: Write | Signal | Unit
    future: Future[Any]
    size: int
    answer: Answer | None


Published = Change | Signal
Publish = Callable[[Sequence[Published]], None]


class CommitQueue:
    """Takes writes and events at once, commits them in batches, and publishes what became of them.

    `publish` is called once per batch, on the loop, with changes and events in order.
    """

    def __init__(
        self,
        store: Store,
        stamps: Stamps,
        publish: Publish,
        *,
        max_pending_bytes: int,
        max_unit_writes: int = MAX_UNIT_WRITES,
        max_unit_bytes: int = MAX_UNIT_BYTES,
        observer: Observer = SILENT,
    ) -> None:
        self._store = store
        self._observer = observer
        self._stamps = stamps
        self._publish = publish
        self._max_bytes = max_pending_bytes
        self._max_unit_writes = max_unit_writes
        self._max_unit_bytes = max_unit_bytes
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self._kept = store.stamp
        self.failed_at: float | None = None
        """When the store last failed a whole batch, by the monotonic clock; None once it has taken one."""
        self.reason: Callable[[Write], bytes | None] | None = None
        """Asked of each write what it sets off, as the reason of its outbox entry; None while nobody
        reacts."""
        self.on_outbox: Callable[[], None] = _nobody
        """Called after a commit that may have left outbox entries."""

    def tell_holdings(self, holdings: Holdings) -> None:
        """Tell of what waits for a commit."""
        limit = Limit("storage.max_pending_bytes", self._max_bytes)
        holdings.add("writes that wait", limit, lambda: self._bytes)

    @property
    def pending_bytes(self) -> int:
        """What waits for a commit, in bytes; callers may slow down before it is refused."""
        return self._bytes

    def add(self, what: Write | Signal, *, extra_bytes: int = 0, answer: Answer | None = None) -> Future[Any]:
        """Take a write or an event into the order. The future answers a Change, None, or raises a
        HeadwaterError.

        `extra_bytes` is what the write holds on to beside its data, as an update its operations. With
        `answer`, the future answers what that makes of the Change or None.

        The future raises TooMany when more than the limit waits already, StoreUnavailable after `close`.
        """
        size = ENTRY_BYTES + extra_bytes + len(what.data if isinstance(what, Write) else what.body)
        return self._take_in(what, size, answer)

    def put(self, write: Write) -> None:
        """Take a write that nobody waits for. Where too much waits already, the observer is told, as ever."""
        self.add(write).add_done_callback(lambda done: done.cancelled() or done.exception())

    def add_unit(self, unit: Unit, *, extra_bytes: int = 0, answer: Answer | None = None) -> Future[Any]:
        """Take a unit into the order. The future answers a list with a Change or None for each of its
        writes, or raises the HeadwaterError that rejected it.

        `extra_bytes` and `answer` are as for `add`; a unit whose key was used before answers what became of
        the first, and its signals are not published.

        The future raises TooLarge when the unit is larger than one may be, otherwise as that of `add`.
        """
        parts = len(unit.writes) + len(unit.signals)
        data = sum(len(write.data) for write in unit.writes)
        data += sum(len(placed.signal.body) for placed in unit.signals) + extra_bytes
        if parts + len(unit.settles) > self._max_unit_writes:
            self._observer.limited("storage.max_unit_writes", self._max_unit_writes)
            return refused(
                TooLarge(
                    f"A unit of {parts + len(unit.settles)} writes is larger than one may be.",
                    hint="Split it, or raise [storage] max_unit_writes.",
                    limit=self._max_unit_writes,
                )
            )
        if data > self._max_unit_bytes:
            self._observer.limited("storage.max_unit_bytes", self._max_unit_bytes)
            return refused(
                TooLarge(
                    f"A unit of {data} bytes is larger than one may be.",
                    hint="Split it, or raise [storage] max_unit_bytes.",
                    limit=self._max_unit_bytes,
                    size=data,
                )
            )
        return self._take_in(unit, ENTRY_BYTES * (1 + parts) + data, answer)

    def _take_in(self, what: Write | Signal | Unit, size: int, answer: Answer | None) -> Future[Any]:
        future: Future[Any] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("The server is shutting down; the write was not taken."))
        elif self._bytes and self._bytes + size > self._max_bytes:
            # Told here: of some writes nobody waits for the answer.
            self._observer.limited("storage.max_pending_bytes", self._max_bytes)
            future.set_exception(
                TooMany(
                    f"More than {self._max_bytes} bytes of writes wait for the store.",
                    hint="Write more slowly, or raise [storage] max_pending_bytes.",
                    limit=self._max_bytes,
                )
            )
        else:
            if self.reason is not None and not isinstance(what, Signal):
                what = _with_reasons(what, self.reason)
            self._entries.append(_Entry(what, future, size, answer))
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
                # What the loop has ready joins: the busier it is, the larger the batches, and the fewer times
                # work is handed to the store's thread (an eighth of the server's time in a crowd of posts).
                await _turn()
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
        size = writes = 0
        while self._entries and writes < MAX_BATCH_WRITES and size < MAX_BATCH_BYTES:
            entry = self._entries.popleft()
            batch.append(entry)
            size += entry.size
            writes += len(entry.what.writes) if isinstance(entry.what, Unit) else 1
        return batch

    async def _commit(self, batch: list[_Entry]) -> None:
        """Commit one batch, publish it, answer its futures."""
        heard = self._observer.listening
        began = time.perf_counter() if heard else 0.0
        outcomes = await self._outcomes([entry.what for entry in batch if not isinstance(entry.what, Signal)])
        if heard:
            refused = sum(isinstance(one, HeadwaterError) for one in outcomes)
            size = sum(entry.size for entry in batch)
            taken = len(outcomes) - refused
            self._observer.committed(Batch(taken, refused, size, time.perf_counter() - began))
        answers = iter(outcomes)
        results = [entry.what if isinstance(entry.what, Signal) else next(answers) for entry in batch]
        try:
            self._publish(_to_publish(batch, results))
        except Exception:
            # Subscribers repair themselves by catching up; the writes are committed all the same.
            log.exception("Publishing a batch of %d failed", len(batch))
        for (_, future, size, answer), result in zip(batch, results, strict=True):
            self._bytes -= size
            if not future.done():
                _answer(future, result, answer)
        if self.reason is not None and any(_sets_off(entry.what) for entry in batch):
            self.on_outbox()

    async def _outcomes(self, units: list[Write | Unit]) -> Sequence[UnitOutcome]:
        if not units:
            return []
        stamp = self._stamps.next()
        try:
            outcomes = await self._store.commit(units, stamp=stamp)
        except HeadwaterError as error:
            self.failed_at = time.monotonic()
            return [error] * len(units)
        except Exception as error:
            self.failed_at = time.monotonic()
            log.exception("The store failed in an unknown way")
            return [StoreUnavailable(f"The store failed: {type(error).__name__}.")] * len(units)
        self.failed_at = None
        if len(outcomes) != len(units):
            log.error("The store answered %d of %d units", len(outcomes), len(units))
            return [StoreUnavailable("The store lost count; what became of the write is not known.")] * len(
                units
            )
        if any(map(_changed, outcomes)):
            self._kept = stamp
        return outcomes


@types.coroutine
def _turn() -> Generator[None]:
    """A turn of the loop, as `asyncio.sleep(0)` without what that looks at first."""
    yield


def _changed(outcome: UnitOutcome) -> bool:
    if isinstance(outcome, Committed):
        return not outcome.repeated and any(outcome.changes)
    return isinstance(outcome, Change)


def _to_publish(batch: Sequence[_Entry], results: Sequence[UnitOutcome | Signal]) -> list[Published]:
    """What became of a batch, in the order of the queue. Most of it are changes."""
    published: list[Published] = []
    for entry, result in zip(batch, results, strict=True):
        if isinstance(result, (Change, Signal)):
            published.append(_told(entry.what, result))
        elif isinstance(result, Committed) and isinstance(entry.what, Unit) and not result.repeated:
            if entry.what.signals:
                published += _in_order(entry.what, result.changes)
            else:
                published += [change for change in result.changes if change is not None]
    return published


def _told(what: Write | Signal | Unit, result: Change | Signal) -> Published:
    """A change with what its update tells of it."""
    if isinstance(what, Write) and what.delta is not None and isinstance(result, Change):
        return result._replace(delta=what.delta())
    return result


def _in_order(unit: Unit, changes: Sequence[Change | None]) -> Iterator[Published]:
    """What a committed unit publishes: each signal after as many of its writes as it says."""
    done = 0
    for placed in sorted(unit.signals, key=lambda placed: placed.writes_before):
        yield from (change for change in changes[done : placed.writes_before] if change is not None)
        done = max(done, placed.writes_before)
        yield placed.signal
    yield from (change for change in changes[done:] if change is not None)


def refused(error: Exception) -> Future[Any]:
    """The future of what never came into the queue, for it is wrong by itself."""
    future: Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def answered(value: Any) -> Future[Any]:
    """The future of what needs nothing done."""
    future: Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future


def _answer(future: Future[Any], result: UnitOutcome | Signal, answer: Answer | None) -> None:
    """Settle a future. Most results are changes, so those are asked for first."""
    value: Any = result
    if not isinstance(result, Change):
        if isinstance(result, HeadwaterError):
            future.set_exception(result)
            return
        value = _value(result)
    if answer is not None:
        try:
            value = answer(value)
        except Exception as error:
            future.set_exception(error)
            return
    future.set_result(value)


def _value(result: Repeated | Committed | Signal | None) -> Change | list[Change | None] | None:
    if isinstance(result, Repeated):
        return result.change
    return result.changes if isinstance(result, Committed) else None


def _with_reasons(what: Write | Unit, reason: Callable[[Write], bytes | None]) -> Write | Unit:
    """The same, asking for an outbox entry where somebody reacts."""
    if isinstance(what, Write):
        why = reason(what)
        return what if why is None else what._replace(outbox=why)
    reasons = [reason(write) for write in what.writes]
    if not any(why is not None for why in reasons):
        return what
    writes = [write._replace(outbox=why) for write, why in zip(what.writes, reasons, strict=True)]
    return what._replace(writes=writes)


def _sets_off(what: Write | Signal | Unit) -> bool:
    writes = what.writes if isinstance(what, Unit) else (what,)
    return any(isinstance(write, Write) and write.outbox is not None for write in writes)


def _nobody() -> None:
    """Nobody empties the outbox."""
