"""`ctx.progress`: how far a loop has come, written into an item. Owns what is written and how often.

Each write is one `update` of the item's field `progress`: the first before the first element, then at most
four a second, and the last in any case, whatever ends the loop. The next is begun when the one before is
settled; where nothing can wait (a plain `for` on the loop, a loop that is abandoned) it is only begun.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, cast

from headwater.errors import HeadwaterError, InvalidInput, RunLost
from headwater.worker import calls as calls_module
from headwater.worker.calls import Call, Calls
from headwater.worker.invocation import Invocation
from headwater.worker.items import StreamItem
from headwater.worker.loglines import Send, log_line, send_log
from headwater.worker.streams import SERVICE
from headwater.worker.values import to_json

WRITE_EVERY = 0.25
"""Least seconds between the beginnings of two writes, but for the last."""

FIELD = "progress"
"""The field of the item that is written."""


class Progress:
    """Makes `ctx.progress(items, item)`; `clock` gives seconds."""

    __slots__ = ("_calls", "_clock", "_invocation", "_send")

    def __init__(
        self, calls: Calls, send: Send, invocation: Invocation, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._calls = calls
        self._send = send
        self._invocation = invocation
        self._clock = clock

    def __call__(self, items: Any, item: Any, *, total: int | None = None) -> Loop:
        """The same elements, for `async for` and for `for`. `item` is one that a stream gave; its field
        `progress` is written: `{done, total, percent, rate, eta}`, elements and seconds; what is not known is
        None. `total` is for what has no `len()`.

        :raises InvalidInput: `item` is none of a stream, or `items` cannot be iterated over.
        """
        if not isinstance(item, StreamItem):
            raise InvalidInput(
                f"ctx.progress writes into an item that a stream gave, not a {type(item).__name__}.",
                hint="item = await ctx.streams.x.set(group, id, data); ctx.progress(things, item)",
            )
        if not hasattr(items, "__iter__") and not hasattr(items, "__aiter__"):
            raise InvalidInput(f"ctx.progress cannot iterate over a {type(items).__name__}.")
        return Loop(items, lambda: Tally(self, item, _length(items) if total is None else total))

    def begin(self, item: StreamItem, value: dict[str, Any]) -> Call:
        """Begin to write."""
        members = {"stream": item.stream, "group": item.group, "item": item.item_id}
        text = to_json([{"type": "set", "path": FIELD, "value": value}], "progress")
        return self._calls.begin(self._invocation, SERVICE, "update", members, lambda: text)

    def now(self) -> float:
        """Seconds, of a clock that never jumps."""
        return self._clock()

    @property
    def stopped(self) -> bool:
        """Whether the invocation is to end."""
        return self._invocation.cancelled

    @property
    def refused(self) -> bool:
        """Whether what it writes has no effect any more."""
        return self.stopped and self._invocation.plain and bool(self._invocation.run)

    def tell(self, error: HeadwaterError) -> None:
        """Log a write that failed on the way: no reason to end what goes on."""
        said = f"Progress was not written: {error.message}"
        send_log(self._send, log_line("warn", said, {"code": error.code}, self._invocation))


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except TypeError:
        return None


class Tally:
    """One loop: how many of how many are done since when, and the write under way."""

    def __init__(self, progress: Progress, item: StreamItem, total: int | None) -> None:
        self._progress = progress
        self._item = item
        self._total = total
        self._done = 0
        self._begun = self._written = progress.now()
        self._call: Call | None = None
        self._is_open = False

    def begin(self) -> Call:
        """The first write."""
        self._is_open = True
        return self._write()

    def failed(self) -> None:
        """The first write was refused: there is nothing to write into."""
        self._is_open = False

    def count(self) -> Call | None:
        """One more is done; gives a write that was due, if one was. Raises as `stop` does."""
        self._done += 1
        self.stop()
        if self._progress.now() - self._written < WRITE_EVERY or not self.is_settled:
            return None
        return self._write()

    @property
    def is_settled(self) -> bool:
        """Whether no write is under way."""
        return self._call is None or self._call.done()

    def stop(self) -> None:
        """End the loop of an invocation that is to end.

        :raises asyncio.CancelledError: it is.
        """
        if self._progress.stopped:
            raise asyncio.CancelledError

    def end(self) -> Call:
        """All are done; the last write."""
        self._total = self._done
        self._is_open = False
        return self._write()

    def leave(self) -> None:
        """The loop ends, or is left before its end: what is known is written."""
        if self._is_open and not self._progress.refused:
            self._is_open = False
            self._write()

    def tell(self, error: HeadwaterError) -> None:
        """A write failed on the way.

        :raises RunLost: it is not this attempt's to write any more.
        """
        if isinstance(error, RunLost):
            raise error
        self._progress.tell(error)

    def _write(self) -> Call:
        self._written = self._progress.now()
        self._call = self._progress.begin(self._item, self._state())
        return self._call

    def _state(self) -> dict[str, Any]:
        done, total = self._done, self._total
        seconds = self._written - self._begun
        rate = done / seconds if done and seconds > 0 else None
        state: dict[str, Any] = {"done": done, "total": total, "percent": None, "rate": None, "eta": None}
        if total is not None:
            state["percent"] = round(min(100.0, 100 * done / total), 1) if total else 100.0
        if rate is not None:
            state["rate"] = float(f"{rate:.3g}")
            if total is not None:
                state["eta"] = round(max(0, total - done) / rate, 1)
        return state


class Loop:
    """What is iterated over; each iteration counts from 0."""

    __slots__ = ("_items", "_tally")

    def __init__(self, items: Any, tally: Callable[[], Tally]) -> None:
        self._items = items
        self._tally = tally

    def __iter__(self) -> Iterator[Any]:
        if not hasattr(self._items, "__iter__"):
            raise InvalidInput("These elements come asynchronously: write `async for`.")
        return _plain(self._items, self._tally())

    def __aiter__(self) -> AsyncIterator[Any]:
        return _Steps(self._items, self._tally())


def _plain(items: Iterable[Any], tally: Tally) -> Iterator[Any]:
    """A `for` in a thread waits for its writes, one on the loop of async handlers cannot."""
    waits = _may_wait()
    try:
        first = tally.begin()
        try:
            if waits:
                first.result()
        except HeadwaterError:
            tally.failed()
            raise
        for element in items:
            tally.stop()
            yield element
            _settle(tally, tally.count(), waits=waits)
        _settle(tally, tally.end(), waits=waits)
    finally:
        # A loop that is left drops this generator, which ends it here.
        tally.leave()


def _may_wait() -> bool:
    try:
        return asyncio.get_running_loop() is not calls_module.user_loop
    except RuntimeError:
        return True


def _settle(tally: Tally, call: Call | None, *, waits: bool) -> None:
    if call is None or not waits:
        return
    try:
        call.result()
    except HeadwaterError as error:
        tally.tell(error)


class _Steps:
    """An `async for`. It is no generator: those are ended some time after the loop is left, this one at once,
    as the last of the loop's own is dropped."""

    def __init__(self, items: Any, tally: Tally) -> None:
        self._items = items
        self._tally = tally
        self._next: Callable[[], Any] | None = None
        self._is_async = hasattr(items, "__aiter__")

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._step()
        except BaseException:
            # Its traceback holds this object.
            self._tally.leave()
            raise

    async def _step(self) -> Any:
        if self._next is None:
            self._next = self._begin()
            await self._first()
        else:
            await self._settle(self._tally.count())
        try:
            element = await self._next() if self._is_async else self._next()
        except (StopIteration, StopAsyncIteration):
            await self._settle(self._tally.end())
            raise StopAsyncIteration from None
        self._tally.stop()
        return element

    def _begin(self) -> Callable[[], Any]:
        if self._is_async:
            return cast(AsyncIterable[Any], self._items).__aiter__().__anext__
        return cast(Iterable[Any], self._items).__iter__().__next__

    async def _first(self) -> None:
        try:
            await self._tally.begin()
        except HeadwaterError:
            self._tally.failed()
            raise

    async def _settle(self, call: Call | None) -> None:
        if call is None:
            return
        try:
            await call
        except HeadwaterError as error:
            self._tally.tell(error)

    def __del__(self) -> None:
        self._tally.leave()
