"""What the proofs of both protocols have in common: a server's rooms over a store whose calls take effect and
answer in any order that a busy machine allows, time that moves by hand, restarts.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from headwater.errors import StoreUnavailable
from headwater.model import Unit, Write
from headwater.storage.base import Store, UnitOutcome
from headwater.storage.memory import MemoryStore
from headwater.storage.sqlite import SqliteStore
from headwater.streams.fanout import pace
from support.stream_clock import HandClock
from support.stream_store import Call, HeldStore, turns

PROOF = settings(stateful_step_count=60, suppress_health_check=list(HealthCheck))
"""How the machines run; each says how many histories it tries."""


class HandLoop(asyncio.SelectorEventLoop):
    """A loop whose time moves by hand: what waits for seconds waits for the test."""

    hand = 1000.0

    def time(self) -> float:
        return self.hand


class LastingMemory(MemoryStore):
    """A memory store that outlives a restart of the rooms above it, and so keeps stamps as a file does."""

    last = 0.0

    @property
    def stamp(self) -> float:
        return self.last

    async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
        outcomes = await super().commit(units, stamp=stamp)
        self.last = stamp
        return outcomes


class Machine(RuleBasedStateMachine):
    """The rules about time and the store. Who inherits it brings `start`, `restart_server`, `at_rest`, `end`
    and `settle`, and what clients do."""

    slice = pace.DELIVERIES
    """Deliveries of a flush in one turn of the loop."""
    store: HeldStore

    def __init__(self) -> None:
        super().__init__()
        self.usual_slice, pace.DELIVERIES = pace.DELIVERIES, self.slice
        self.runner = asyncio.Runner(loop_factory=HandLoop)
        self.clock = HandClock()
        self.number = 0
        self.writes: list[asyncio.Future[Any]] = []

    def run(self, what: Any) -> Any:
        return self.runner.run(what)

    async def open_store(self) -> Store:
        return LastingMemory()

    @property
    def inner(self) -> Store:
        """The real store."""
        return self.store.inner

    async def start(self, inner: Store | None = None) -> None:
        """Begin with a new store, or with one that was there before."""
        raise NotImplementedError

    async def reopen(self) -> None:
        await self.start(self.inner)

    # --- time and the store ---

    @rule(number=st.integers(1, 20))
    def let_run(self, number: int) -> None:
        self.run(turns(number))

    @rule(verb=st.sampled_from(["commit", "read"]))
    def hold(self, verb: Any) -> None:
        self.store.holds.add(verb)

    @rule()
    def release(self) -> None:
        self.run(self.store.release())
        self.run(turns(5))

    @rule(index=st.integers(0, 10))
    def perform_a_call(self, index: int) -> None:
        if calls := self._unperformed():
            self.run(calls[index % len(calls)].perform())

    @rule(index=st.integers(0, 10))
    def finish_a_call(self, index: int) -> None:
        if calls := self.store.waiting():
            self.run(calls[index % len(calls)].finish())

    @rule(index=st.integers(0, 10))
    def fail_a_call(self, index: int) -> None:
        if calls := self._unperformed():
            call = calls[index % len(calls)]
            call.fault = StoreUnavailable("The disk is gone.")
            self.run(call.finish())

    def _unperformed(self) -> list[Call]:
        return [call for call in self.store.waiting() if not call.performed]

    @rule()
    def sweep(self) -> None:
        self.run(self.sweep_all())

    async def sweep_all(self) -> None:
        while await self.store.sweep(now=1e13, tombstone_age=0):
            pass

    @rule(seconds=st.sampled_from([0.01, 0.06, 3.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.pass_time(seconds)
        self.run(turns(3))

    @rule()
    def restart(self) -> None:
        self.run(self.restart_server())

    async def restart_server(self) -> None:
        """The server ends and begins again; its clients lose their connections and come back."""
        raise NotImplementedError

    # --- rest ---

    def settle(self) -> None:
        """Let everything come to rest and judge it; a rule, where it is a rule of its own."""
        raise NotImplementedError

    async def at_rest(self) -> bool:
        raise NotImplementedError

    async def end(self) -> None:
        raise NotImplementedError

    async def rest(self) -> None:
        """Let time pass until nothing is under way."""
        for _ in range(2000):
            if await self.at_rest():
                return
            self.pass_time(5.0)
            await self.breathe()
        raise AssertionError("the server does not come to rest")

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            pace.DELIVERIES = self.usual_slice
            self.run(self.end())
            self.runner.close()

    async def step(self, do: Any, *arguments: Any) -> None:
        do(*arguments)
        await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        loop = self.runner.get_loop()
        assert isinstance(loop, HandLoop)
        loop.hand += seconds

    async def breathe(self) -> None:
        """Give threads a moment, where the store has some."""


class OverFile(Machine):
    """A machine over a file, closed and opened again at each restart. It stands before the other machine."""

    folder: tempfile.TemporaryDirectory[str]

    async def open_store(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        return await self.open_file()

    async def open_file(self) -> Store:
        return await SqliteStore.open(Path(self.folder.name) / "data.db", synchronous="normal")

    async def breathe(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.001)

    async def reopen(self) -> None:
        await self.inner.close()
        await self.start(await self.open_file())

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.folder.cleanup()
