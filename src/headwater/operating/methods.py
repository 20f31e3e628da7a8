"""What a running server answers its operator: the methods, over what `work/` offers, where it listens and
what it holds in memory.

A method is an async generator of entries. It reads its arguments, and leaves the doing to work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from headwater.errors import InvalidInput
from headwater.holdings import Holdings
from headwater.model import Origin
from headwater.operating.messages import maybe_text_of, text_of
from headwater.operating.table import Method
from headwater.trace import new_trace
from headwater.work.events import Emission
from headwater.work.work import Work

Args = Mapping[str, Any]
Entries = AsyncGenerator[Any]

MOST_LISTED = 10_000
"""Dead letters of a step that one answer lists."""


READS = frozenset(
    {"access.connections", "address", "held", "queue.dead", "queue.list", "queue.running", "queue.show"}
)
"""The methods that change nothing. One that is not named here is taken to change something."""


def work_methods(work: Work) -> dict[str, Method]:
    """The methods about events, cron and runs."""
    methods = _WorkMethods(work)
    return {
        "queue.list": methods.list,
        "queue.running": methods.running,
        "queue.dead": methods.dead,
        "queue.show": methods.show,
        "queue.retry": methods.retry,
        "queue.purge": methods.purge,
        "queue.pause": methods.pause,
        "queue.resume": methods.resume,
        "emit": methods.emit,
        "cancel": methods.cancel,
    }


def server_methods(url: Callable[[], str], holdings: Holdings) -> dict[str, Method]:
    """The methods about the server itself."""

    async def address(_args: Args) -> Entries:
        """`{"url"}`: where a client on this machine finds it, whatever flags it was begun with."""
        yield {"url": url()}

    async def held(_args: Args) -> Entries:
        """Each kind of memory that the server holds for others: `{"kind", "unit", "now", "limit",
        "setting"}`."""
        for one in holdings.read():
            setting, limit = one.limit
            yield {"kind": one.kind, "unit": one.unit, "now": one.now, "limit": limit, "setting": setting}

    return {"address": address, "held": held}


class _WorkMethods:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def list(self, _args: Args) -> Entries:
        """Each queue, as `QueueState`."""
        for state in await self._work.overview.queues(self._work.pauses.names):
            yield dataclasses.asdict(state)

    async def running(self, args: Args) -> Entries:
        """`step`?: the runs under way, as `RunState`."""
        for state in self._work.overview.running(await self._step(args)):
            yield dataclasses.asdict(state)

    async def dead(self, args: Args) -> Entries:
        """`step`?, `limit`: the dead letters, by step, the newest first."""
        limit = _number(args, "limit", 100, MOST_LISTED)
        step = await self._step(args)
        async for letter in self._work.dead_letters.list(step, limit):
            yield letter

    async def show(self, args: Args) -> Entries:
        """`id`: all about one job."""
        yield await self._work.overview.job(text_of(args, "id"))

    async def retry(self, args: Args) -> Entries:
        """`id`, or `step`? for all: `{"retried": n}`, more than once."""
        if args.get("id") is not None:
            await self._work.dead_letters.retry(text_of(args, "id"))
            yield {"retried": 1}
            return
        async for count in self._work.dead_letters.retry_all(await self._step(args)):
            yield {"retried": count}

    async def purge(self, args: Args) -> Entries:
        """`what` ("dead" or "waiting"), `step`?: `{"purged": n}`, more than once."""
        what, step = text_of(args, "what"), await self._step(args)
        if what not in ("dead", "waiting"):
            raise InvalidInput('what is "dead" or "waiting".', field="what")
        work = self._work
        async for count in work.dead_letters.purge(step) if what == "dead" else work.removal.purge(step):
            yield {"purged": count}

    async def pause(self, args: Args) -> Entries:
        """`step`: `{"changed"}`."""
        yield {"changed": await self._work.pauses.pause(text_of(args, "step"))}

    async def resume(self, args: Args) -> Entries:
        """`step`: `{"changed"}`."""
        yield {"changed": await self._work.pauses.resume(text_of(args, "step"))}

    async def emit(self, args: Args) -> Entries:
        """`topic`, `data` (JSON text), `key`?, `group`?, `delay`?: `{"runs", "repeated", "trace"}` once it is
        committed, the ids of the runs by step."""
        delay = args.get("delay", 0)
        if not isinstance(delay, int | float):
            raise InvalidInput("delay is a number of seconds.", field="delay")
        topic = text_of(args, "topic")
        emission = Emission(
            topic,
            text_of(args, "data").encode(),
            group=maybe_text_of(args, "group"),
            delay=float(delay),
            key=maybe_text_of(args, "key"),
            origin=Origin("", new_trace()),
        )
        accepted = await self._work.events.emit(emission)
        runs = dict(accepted.runs)
        yield {"runs": runs, "repeated": accepted.repeated, "trace": emission.origin.trace}

    async def cancel(self, args: Args) -> Entries:
        """`run`: `{"cancelled": true}`, once that is certain; a handler may still be returning."""
        await self._work.runs.cancel(text_of(args, "run"))
        yield {"cancelled": True}

    async def _step(self, args: Args) -> str | None:
        """The step that is named, if one is; what is asked of one that there is not is a mistake."""
        step = maybe_text_of(args, "step")
        if step is not None:
            await self._work.dead_letters.check_step(step)
        return step


def _number(args: Args, name: str, default: int, most: int) -> int:
    """A whole number from 1, which a query gives as text."""
    value = args.get(name, default)
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else value
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= most:
        raise InvalidInput(f"{name} is from 1 to {most}.", field=name)
    return number
