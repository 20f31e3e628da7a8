"""Steps whose events lead back to themselves: told once, with their names, and never stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import orjson
import pytest

from headwater.model import Origin
from headwater.storage.memory import MemoryStore
from headwater.work.circles import LONG
from headwater.work.events import Emission
from support.work_stage import WorkStage, consumer


@pytest.fixture
async def stage() -> AsyncGenerator[WorkStage]:
    stage = WorkStage(MemoryStore())
    yield stage
    await stage.close()


async def rounds(stage: WorkStage, names: list[str], count: int, trace: str = "t1") -> None:
    """Let steps emit in turn, each in the handler of what the one before emitted; step x consumes topic x."""
    origin = Origin("Begin", trace)
    for number in range(count):
        name = names[number % len(names)]
        accepted = await stage.events.emit(Emission(name, orjson.dumps(number), origin=origin))
        await stage.settle()
        job, _, _ = stage.performer.held[accepted.runs[name]]
        await stage.end(number)
        origin = Origin(name, job.trace, job.depth, job.auth, job.links)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "lead back" in record.getMessage()]


async def test_a_long_one_is_told_once_with_its_steps(
    stage: WorkStage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.start(*(consumer(name, topics=(name,)) for name in "ABC"))
    await rounds(stage, ["A", "B", "C"], LONG)
    assert not told(caplog)
    await rounds(stage, ["A", "B", "C"], LONG * 2)
    (message,) = told(caplog)
    assert message.startswith('"A" -> "B" -> "C" -> "A": ')
    assert 'queue pause "A"' in message


async def test_a_step_that_emits_to_itself_is_one(stage: WorkStage, caplog: pytest.LogCaptureFixture) -> None:
    await stage.start(consumer("A", topics=("A",)))
    await rounds(stage, ["A"], LONG + 1)
    (message,) = told(caplog)
    assert message.startswith('"A" -> "A": ')


async def test_many_events_of_one_handler_are_none(
    stage: WorkStage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.start(consumer("A", topics=("A",)))
    for number in range(LONG * 2):
        await stage.emit(number, "A", origin=Origin("B", "t", links=1))
    assert not told(caplog)


async def test_how_long_a_chain_is_survives_a_restart(
    stage: WorkStage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.start(consumer("A", topics=("A",)))
    await stage.emit("last", "A", origin=Origin("A", "t", links=LONG - 1))
    again = WorkStage(stage.store)
    await again.start(consumer("A", topics=("A",)))
    ((job, _, _),) = again.performer.held.values()
    await again.emit("next", "A", origin=Origin("A", "t", links=job.links))
    assert len(told(caplog)) == 1
    await again.close()
