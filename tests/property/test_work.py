"""Any schedule of emits, ends, failures, times and kills: what was accepted is done or given up, a fifo group
in its order, and nothing runs twice at the same time. The server is killed at every stage of a job: before
and after the commit of its enqueue, of its claim, while its handler runs, before and after the commit of its
end. The wall clock is set forward and back meanwhile.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headwater.config import Settings, StorageSettings, WorkSettings
from headwater.model import Origin
from headwater.storage.base import Store
from headwater.storage.memory import MemoryStore
from headwater.storage.open import open_store
from headwater.work.attempt import Failure
from headwater.work.events import Emission
from support.stream_store import HeldStore, turns
from support.work_stage import WorkStage, consumer

WORK = WorkSettings(retry_first=1, retry_most=4, max_retries=2, concurrency=2)
LANES = ("x", "y")


class Jobs(RuleBasedStateMachine):
    """One server after another on one store; `fifo` is a step that keeps order, `any` one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.inner = self.run(self.open_store())
        self.emitted: dict[int, tuple[str, asyncio.Future[None]]] = {}
        self.accepted: dict[int, str] = {}
        """Of each event that was accepted, its message group, in the order of acceptance."""
        self.ended: dict[str, list[int]] = {"fifo": [], "any": []}
        """The data of the attempts that went well, in their order, by step."""
        self.number = 0
        self.stage: WorkStage = self.run(self.begin())

    async def open_store(self) -> Store:
        return MemoryStore()

    def run(self, what: Any) -> Any:
        return self.runner.run(what)

    async def begin(self) -> WorkStage:
        stage = WorkStage(HeldStore(self.inner), WORK)
        if hasattr(self, "stage"):
            stage.clock.time = self.stage.clock.time
        await stage.start(
            consumer("fifo", fifo=True, retries=2, concurrency=2), consumer("any", retries=2, concurrency=2)
        )
        return stage

    # --- what happens ---

    @rule(lane=st.sampled_from(LANES), delay=st.sampled_from([0.0, 0.0, 2.0]), keyed=st.booleans())
    def emit(self, lane: str, delay: float, keyed: bool) -> None:
        self.number += 1
        data = orjson.dumps(self.number)
        key = str(self.number) if keyed else None
        emission = Emission("t", data, group=lane, delay=delay, key=key, origin=Origin("e", "t"))

        async def begin() -> None:
            future = self.stage.events.emit(emission)
            self.emitted[self.number] = (lane if not delay else "", future)
            await turns()

        self.run(begin())
        self.note()

    @rule(which=st.integers(0, 3), well=st.booleans())
    def end(self, which: int, well: bool) -> None:
        held = list(self.stage.performer.held.values())
        if not held:
            return
        job, payload, done = held[which % len(held)]
        if well:
            self.ended[job.queue].append(int(payload))

        async def tell() -> None:
            done.set_result(None if well else Failure("HANDLER_FAILED", "no"))
            await turns(20)

        self.run(tell())
        self.note()

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0]))
    def pass_time(self, seconds: float) -> None:
        self.stage.clock.ran += seconds
        self.set_clock(seconds)

    @rule(seconds=st.sampled_from([-86_400.0, -3.0, 3.0, 86_400.0]))
    def set_clock(self, seconds: float) -> None:
        """The wall clock is set, on or back; no time passes."""

        async def on() -> None:
            self.stage.clock.time += seconds
            self.stage.dispatcher.look()
            await turns(20)

        self.run(on())

    @rule()
    def hold_commits(self) -> None:
        """From now on a commit waits before it takes effect."""
        self.held.holds.add("commit")

    @rule(answered=st.booleans())
    def let_one_commit(self, answered: bool) -> None:
        """One takes effect; whether anybody learns of it is another matter."""

        async def go_on() -> None:
            for call in self.held.waiting("commit")[:1]:
                await (call.finish() if answered else call.perform())
            await turns(20)

        self.run(go_on())
        self.note()

    @rule()
    def let_all_commit(self) -> None:
        async def go_on() -> None:
            await self.held.release()
            await turns(20)

        self.run(go_on())
        self.note()

    @precondition(lambda self: self.number > 0)
    @rule()
    def kill(self) -> None:
        """The server is gone at once: what had not taken effect never will, and nobody is told."""

        async def die() -> None:
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
            await turns(20)

        self.run(die())
        self.emitted.clear()
        self.stage = self.run(self.begin())

    @property
    def held(self) -> HeldStore:
        store = self.stage.store
        assert isinstance(store, HeldStore)
        return store

    def note(self) -> None:
        """Remember what was accepted by now."""
        for number, (lane, future) in list(self.emitted.items()):
            if future.done():
                del self.emitted[number]
                if not future.cancelled() and future.exception() is None:
                    self.accepted[number] = lane

    # --- what must hold ---

    @invariant()
    def no_more_run_than_may(self) -> None:
        running = [job.queue for job, _, _ in self.stage.performer.held.values()]
        assert max((running.count(queue) for queue in set(running)), default=0) <= 2

    def teardown(self) -> None:
        """Let everything end well: then all that was accepted has ended, in order."""
        self.let_all_commit()
        self.stage = self.run(self.settle_all())
        dead = {queue: self.run(self.dead(queue)) for queue in self.ended}
        for queue, ended in self.ended.items():
            assert set(self.accepted) <= {*ended, *dead[queue]}, f"{queue} lost what was accepted"
        firsts = list(dict.fromkeys(self.ended["fifo"]))
        for lane in LANES:
            order = [number for number in firsts if self.accepted.get(number) == lane]
            assert order == sorted(order), f"group {lane} out of order"
        self.run(self.inner.close())
        self.runner.close()

    async def settle_all(self) -> WorkStage:
        for _ in range(200):
            for job, payload, done in list(self.stage.performer.held.values()):
                if not done.done():
                    self.ended[job.queue].append(int(payload))
                    done.set_result(None)
            self.stage.clock.time += 5
            self.stage.clock.ran += 5
            self.stage.dispatcher.look()
            await self.stage.settle()
            if not self.stage.dispatcher.size:
                break
        assert self.stage.dispatcher.size == 0, "work was left that nothing ends"
        return self.stage

    async def dead(self, queue: str) -> list[int]:
        return [one["data"] for one in await self.stage.dead(queue)]


class JobsOnSqlite(Jobs):
    """The same over a file, which is closed and opened again by nobody: a kill leaves it as it is."""

    async def open_store(self) -> Store:
        self.folder = Path(tempfile.mkdtemp())
        return await open_store(
            Settings(project=self.folder, storage=StorageSettings(url="sqlite:data.db", synchronous="normal"))
        )

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


TestJobs = Jobs.TestCase
TestJobs.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestJobsOnSqlite = JobsOnSqlite.TestCase
TestJobsOnSqlite.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
