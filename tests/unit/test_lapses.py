"""Connections whose tokens end: who is told when, by one heap."""

from __future__ import annotations

import asyncio

import pytest

from headwater.server.live.lapses import MOST_AT_ONCE, Lapses
from support.stream_clock import HandClock


class Connection:
    def __init__(self) -> None:
        self.told: list[float | str] = []
        self.fails = False

    def expiring(self, seconds: float) -> None:
        self.told.append(seconds)

    def expired(self) -> None:
        self.told.append("expired")
        if self.fails:
            raise RuntimeError

    def close(self, code: int, reason: str) -> None:
        self.told.append(f"closed {code}")


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1000.0)


@pytest.fixture
def lapses(clock: HandClock) -> Lapses:
    return Lapses(clock, 60.0)


def test_a_connection_is_told_before_and_at_the_end_once(clock: HandClock, lapses: Lapses) -> None:
    one = Connection()
    lapses.enter(one, 1300.0)
    for clock.time in (1000.0, 1239.0, 1241.0, 1242.0, 1299.9, 1300.0, 1400.0):
        lapses.look()
    assert one.told == [59.0, "expired"]
    assert len(lapses) == 0


def test_of_a_short_time_it_is_told_at_half(clock: HandClock, lapses: Lapses) -> None:
    one = Connection()
    lapses.enter(one, 1010.0)
    assert lapses.look() == 5.0
    clock.time = 1005.0
    assert lapses.look() == 5.0
    assert one.told == [5.0]


@pytest.mark.parametrize("expires", [1000.0, 10.0])
def test_what_has_ended_already_ends_at_once(lapses: Lapses, expires: float) -> None:
    one = Connection()
    lapses.enter(one, expires)
    assert lapses.look() is None
    assert one.told == ["expired"]


def test_whoever_has_gone_or_has_no_end_any_more_is_told_nothing(clock: HandClock, lapses: Lapses) -> None:
    gone, endless, later, never = (Connection() for _ in range(4))
    for one in (gone, endless, later):
        lapses.enter(one, 1300.0)
    lapses.leave(gone)
    lapses.leave(never)
    lapses.enter(endless, None)
    lapses.enter(later, 2000.0)
    clock.time = 1500.0
    assert lapses.look() == 440.0
    assert gone.told + endless.told + later.told == []


def test_one_that_fails_is_closed_and_the_others_hear_theirs(clock: HandClock, lapses: Lapses) -> None:
    broken, whole = Connection(), Connection()
    broken.fails = True
    lapses.enter(broken, 1001.0)
    lapses.enter(whole, 1002.0)
    clock.time = 1003.0
    lapses.look()
    assert (broken.told, whole.told) == (["expired", "closed 1011"], ["expired"])


def test_many_at_once_are_told_a_part_at_a_time(clock: HandClock, lapses: Lapses) -> None:
    all_of_them = [Connection() for _ in range(MOST_AT_ONCE + 1)]
    for one in all_of_them:
        lapses.enter(one, 1000.0)
    assert lapses.look() == 0.0
    assert len(lapses) == 1
    assert lapses.look() is None
    assert [one.told for one in all_of_them] == [["expired"]] * len(all_of_them)


def test_renewals_without_end_leave_nothing_behind(lapses: Lapses) -> None:
    one = Connection()
    for n in range(10_000):
        lapses.enter(one, 2000.0 + n)
    assert len(lapses._heap) < 100  # pyright: ignore[reportPrivateUsage]


async def test_the_run_hears_of_an_end_that_comes_sooner(clock: HandClock, lapses: Lapses) -> None:
    running = asyncio.create_task(lapses.run())
    await asyncio.sleep(0)
    ended = asyncio.Event()
    one = Connection()
    one.expired = ended.set  # type: ignore[method-assign]
    lapses.enter(one, 999.0)
    async with asyncio.timeout(30):
        await ended.wait()
    running.cancel()
