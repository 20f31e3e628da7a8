"""Cron steps run at their times: each time once, whatever the clock and the server do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from headwater.config import WorkSettings
from headwater.errors import ConfigError
from headwater.storage.memory import MemoryStore
from headwater.work.cron import Cron, CronJob
from headwater.work.schedule import last_time, next_time, times, zone
from support.stream_store import HeldStore
from support.work_stage import WorkStage, consumer

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, where: Any = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=where).timestamp()


def told(when: float | None, where: Any = BERLIN) -> str:
    return "" if when is None else datetime.fromtimestamp(when, where).isoformat()


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("*/5 * * * *", "2026-03-01T10:00:00", "2026-03-01T10:05:00+01:00"),
        ("*/5 * * * *", "2026-03-01T10:02:31", "2026-03-01T10:05:00+01:00"),
        ("15 30 9 * * MON-FRI", "2026-03-06T10:00:00", "2026-03-09T09:30:15+01:00"),
        ("0 0 ? * sat-sun", "2026-03-07T10:00:00", "2026-03-08T00:00:00+01:00"),
        ("0 0 * * 5-0", "2026-03-07T10:00:00", "2026-03-08T00:00:00+01:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00+01:00"),
        ("0 0 31 2 *", "2026-03-01T00:00:00", ""),
        # The clock goes forward over 02:30, and back over it: it runs once all the same.
        ("30 2 * * *", "2026-03-29T00:00:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", "2026-10-25T02:30:00", "2026-10-26T02:30:00+01:00"),
    ],
)
def test_the_next_time_of_an_expression(expression: str, after: str, expected: str) -> None:
    assert told(next_time(expression, BERLIN, at(after))) == expected


def test_the_last_time_is_the_one_before_the_next() -> None:
    now = at("2026-03-01T10:07:00")
    assert told(last_time("*/5 * * * *", BERLIN, now)) == "2026-03-01T10:05:00+01:00"
    five = at("2026-03-01T10:05:00")
    assert last_time("*/5 * * * *", BERLIN, five) == five


def test_an_unknown_zone_is_named_with_what_to_write() -> None:
    with pytest.raises(ConfigError) as caught:
        zone("Europe/Brelin")
    assert "Europe/Brelin" in caught.value.message
    assert "[work] time_zone" in caught.value.hint
    assert next(times("* * * * *", zone("local"), 0.0)) == 60.0


class CronStage(WorkStage):
    """A clock of cron steps over a store."""

    def __init__(self, store: Any, **settings: Any) -> None:
        super().__init__(store, WorkSettings(time_zone="UTC", **settings))
        self.clock.time = at("2026-03-01T10:00:30", ZoneInfo("UTC"))
        self.cron = Cron(self.dispatcher, store, self.settings, self.clock)

    async def begin(self, expression: str = "* * * * *") -> None:
        await self.start(consumer("tick", topics=(), retries=0))
        self.cron.take([CronJob("tick", expression)])
        await self.cron.start()
        await self.settle()

    async def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds
        self.cron.look()
        await self.settle()

    async def end_all(self) -> None:
        for _ in range(len(self.performer.held)):
            await self.end(None)

    async def close(self) -> None:
        self.cron.close()
        await super().close()


@pytest.fixture
def store() -> HeldStore:
    return HeldStore(MemoryStore())


@pytest.fixture
async def stage(store: HeldStore) -> AsyncGenerator[CronStage]:
    stage = CronStage(store)
    await stage.begin()
    yield stage
    await stage.close()


async def test_a_step_runs_at_its_time_and_not_before(stage: CronStage) -> None:
    await stage.pass_time(29)
    assert stage.performer.log == []
    await stage.pass_time(1)
    await stage.pass_time(1)
    assert stage.performer.log == [("null", 1)]
    await stage.pass_time(59)
    assert len(stage.performer.log) == 2


async def test_a_clock_that_goes_back_runs_nothing_twice(stage: CronStage) -> None:
    await stage.pass_time(31)
    await stage.pass_time(-120)
    await stage.pass_time(130)
    assert len(stage.performer.log) == 1
    await stage.pass_time(60)
    assert len(stage.performer.log) == 2


async def test_a_step_whose_times_cannot_be_told_keeps_no_other_from_its_own(
    stage: CronStage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.cron.take([CronJob("odd", ""), CronJob("tick", "* * * * *")])
    await stage.pass_time(31)
    assert stage.performer.log == [("null", 1)]
    assert "When the cron step odd runs could not be told; it is looked at again" in caplog.messages


async def test_a_server_that_starts_again_runs_no_time_twice(stage: CronStage, store: HeldStore) -> None:
    await stage.pass_time(30)
    await stage.end_all()
    again = CronStage(store.inner)
    again.clock.time = stage.clock.time - 1  # The machine's clock was set a little.
    await again.begin()
    await again.pass_time(1)
    assert again.performer.log == []
    await again.close()


async def test_times_that_passed_without_a_server_are_left_out(stage: CronStage, store: HeldStore) -> None:
    again = CronStage(store.inner)
    again.clock.time += 86_400
    await again.begin()
    assert len(again.performer.log) <= 1  # The one of the last minute.
    await again.end_all()
    await again.close()


async def test_or_made_up_for_by_one_run(store: HeldStore) -> None:
    first = CronStage(store.inner, missed_cron="once")
    await first.begin("0 12 * * *")
    await first.close()
    again = CronStage(store.inner, missed_cron="once")
    again.clock.time += 5 * 86_400
    await again.begin("0 12 * * *")
    assert again.performer.log == [("null", 1)]
    await again.pass_time(1)
    assert len(again.performer.log) == 1
    await again.close()


async def test_a_step_that_a_reload_takes_away_runs_no_more(stage: CronStage) -> None:
    stage.cron.take([])
    await stage.pass_time(120)
    assert stage.performer.log == []
    assert stage.cron.next_runs() == {}
