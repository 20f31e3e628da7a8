"""Work over a real store, with whoever performs steered by hand and a clock that a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from headwater.clock import ForwardClock, Stamps
from headwater.config import WorkSettings
from headwater.model import GroupKey, Item, Origin
from headwater.storage.base import Store
from headwater.streams.commits import CommitQueue
from headwater.work.attempt import Failure, HandedOn
from headwater.work.consumer import Consumer, Consumers
from headwater.work.dispatcher import Dispatcher
from headwater.work.events import Emission, Events
from headwater.work.job import DEAD, DONE, JOBS, Accepted, Job
from headwater.work.ledger import Ledger
from headwater.work.runs import Runs
from support.stream_clock import HandClock
from support.stream_store import turns


class HandPerformer:
    """Runs nothing: holds each attempt until the test says what became of it."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[Job, bytes, asyncio.Future[Failure | None]]] = {}
        self.log: list[tuple[str, int]] = []
        """Every attempt begun: the job's data and the attempt's number."""
        self.resumed = False
        self.asked_to_stop: list[str] = []
        self.begun: Callable[[Job], None] = lambda _job: None

    async def perform(self, job: Job, payload: bytes, *, resumed: bool) -> Failure | None:
        done: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        assert job.id not in self.held, "one job runs twice at a time"
        self.held[job.id] = job, payload, done
        self.log.append((payload.decode(), job.attempts))
        self.resumed = resumed
        self.begun(job)
        try:
            return await done
        finally:
            del self.held[job.id]

    def cancel(self, run: str) -> None:
        self.asked_to_stop.append(run)

    @property
    def running(self) -> list[str]:
        """The data of what runs, in the order in which it began."""
        return [payload.decode() for _, payload, _ in self.held.values()]

    def end(self, data: str, failure: Failure | BaseException | None = None) -> None:
        """Let the attempt on that data end."""
        done = next(done for _, payload, done in self.held.values() if payload.decode() == data)
        if isinstance(failure, BaseException):
            done.set_exception(failure)
        else:
            done.set_result(failure)


BROKEN = Failure("HANDLER_FAILED", "It broke.", "Traceback")


def consumer(name: str = "step", **more: Any) -> Consumer:
    """A step that subscribes to "t"."""
    given = {"topics": ("t",), "retries": 3, "concurrency": 10, **more}
    return Consumer(name, f"steps/{name}_step.py", **given)


class WorkStage:
    """Everything between an emission and an attempt."""

    def __init__(self, store: Store, settings: WorkSettings | None = None) -> None:
        self.store = store
        self.settings = settings or WorkSettings()
        self.clock = HandClock()
        self.performer = HandPerformer()
        self.queue = CommitQueue(store, Stamps(self.clock, store.stamp), _nobody, max_pending_bytes=1 << 28)
        ledger = self.ledger = Ledger(store, self.queue, self.settings, self.clock)
        steady = ForwardClock(self.clock)
        self.dispatcher = Dispatcher(ledger, self.performer, self.settings, steady)
        self.runs = Runs(self.dispatcher, ledger, self.settings)
        self.events = Events(self.dispatcher, self.settings, steady)

    async def start(self, *consumers: Consumer) -> None:
        """Begin as a server does, with these steps."""
        self.dispatcher.consume(Consumers(consumers or (consumer(),)))
        await self.dispatcher.start()
        await self.settle()

    async def emit(self, data: Any, topic: str = "t", **more: Any) -> Accepted:
        """Emit, and let what begins begin."""
        emission = Emission(topic, orjson.dumps(data), **{"origin": Origin("emitter", "trace"), **more})
        accepted = await self.events.emit(emission)
        await self.settle()
        return accepted

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and have it noticed."""
        self.clock.time += seconds
        self.clock.ran += seconds
        self.dispatcher.look()
        await self.settle()

    async def set_clock(self, seconds: float) -> None:
        """Set the wall clock on by so many seconds, or back, and have it noticed."""
        self.clock.time += seconds
        self.dispatcher.look()
        await self.settle()

    async def end(self, data: Any, failure: Failure | BaseException | None = None) -> None:
        """End the attempt on that data, and let what follows from it happen."""
        self.performer.end(orjson.dumps(data).decode(), failure)
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(3):
            await turns()
            await asyncio.wait_for(self._committed(), 30)
        await turns()

    async def _committed(self) -> None:
        while self.queue.pending_bytes:
            await asyncio.sleep(0)

    async def kept(self, stream: str, queue: str = "step") -> list[dict[str, Any]]:
        """What a hidden stream holds of a step."""
        page = await self.store.window(GroupKey(stream, queue), before=None, limit=1000, limit_bytes=1 << 24)
        return [_read(item) for item in page.items]

    async def jobs(self, queue: str = "step") -> list[dict[str, Any]]:
        return await self.kept(JOBS, queue)

    async def done(self, queue: str = "step") -> list[dict[str, Any]]:
        return await self.kept(DONE, queue)

    async def dead(self, queue: str = "step") -> list[dict[str, Any]]:
        return await self.kept(DEAD, queue)

    async def close(self) -> None:
        """End as a server does that hands on what runs."""
        for _, payload, done in list(self.performer.held.values()):
            del payload
            if not done.done():
                done.set_exception(HandedOn())
        await self.dispatcher.close()
        await self.queue.close()


def _read(item: Item) -> dict[str, Any]:
    return orjson.loads(item.data)


def _nobody(_published: Sequence[Any]) -> None:
    """Nobody is subscribed."""
