"""Background work is told about, started again, and ends when it is asked to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

import pytest

from headwater.observe import Observer
from headwater.tasks import FIRST_WAIT, MOST_WAIT, STEADY_SECONDS, Supervisor
from support.stream_clock import HandClock


class Ear(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, float]] = []

    def faltered(self, task: str, error: BaseException, wait: float) -> None:
        self.heard.append((task, type(error).__name__, wait))


class Stage:
    def __init__(self) -> None:
        self.clock, self.ear = HandClock(), Ear()
        self.starts = 0
        self.fails_with: list[BaseException] = []
        self.lives_for: list[float] = []
        self.settled = asyncio.Event()
        self.ended = False
        self.supervisor = Supervisor(self.ear, clock=self.clock, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def work(self) -> None:
        self.starts += 1
        if self.lives_for:
            self.clock.ran += self.lives_for.pop(0)
        if self.fails_with:
            raise self.fails_with.pop(0)
        self.settled.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    stage = Stage()
    yield stage
    await stage.supervisor.close()


async def test_work_that_fails_starts_again(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.fails_with = [RuntimeError("odd"), KeyError("x")]
    with caplog.at_level(logging.ERROR):
        stage.supervisor.start("expiry", stage.work)
        await stage.settled.wait()
    assert stage.starts == 3
    assert stage.ear.heard == [("expiry", "RuntimeError", FIRST_WAIT), ("expiry", "KeyError", 2 * FIRST_WAIT)]
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    (task,) = stage.supervisor.tasks
    assert (task.name, task.state, task.failures, task.error) == ("expiry", "running", 2, "'x'")


async def test_the_wait_has_a_bound_and_begins_anew_after_a_steady_time(stage: Stage) -> None:
    stage.fails_with = [RuntimeError() for _ in range(12)]
    stage.lives_for = [*([0.0] * 11), STEADY_SECONDS]
    stage.supervisor.start("sweep", stage.work)
    await stage.settled.wait()
    waits = [wait for _, _, wait in stage.ear.heard]
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[10:] == [MOST_WAIT, FIRST_WAIT]


async def test_a_cancellation_from_elsewhere_is_a_failure(stage: Stage) -> None:
    stage.fails_with = [asyncio.CancelledError()]
    stage.supervisor.start("keep", stage.work)
    await stage.settled.wait()
    assert stage.ear.heard == [("keep", "CancelledError", FIRST_WAIT)]


async def test_closing_ends_the_work_and_waits_for_its_end(stage: Stage) -> None:
    stage.supervisor.start("keep", stage.work)
    await stage.settled.wait()
    await stage.supervisor.close()
    assert stage.ended
    assert stage.ear.heard == []
    assert stage.supervisor.tasks == ()


async def test_work_that_returns_is_done() -> None:
    supervisor = Supervisor()
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    supervisor.start("once", work)
    await done.wait()
    await asyncio.sleep(0)
    assert [task.state for task in supervisor.tasks] == ["done"]
    await supervisor.close()
