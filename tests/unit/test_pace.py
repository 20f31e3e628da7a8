"""What leaves in one turn of the loop is bounded, and who waits is served in order."""

from __future__ import annotations

import asyncio

import pytest

from headwater.streams.fanout.pace import DELIVERIES, Pace


async def test_grants_no_more_than_a_turns_share() -> None:
    pace = Pace()
    assert [pace.take(DELIVERIES - 10), pace.take(30), pace.take(1)] == [DELIVERIES - 10, 10, 0]


async def test_grants_anew_in_the_next_turn() -> None:
    pace = Pace()
    pace.take(DELIVERIES)
    await asyncio.sleep(0)
    assert pace.take(5) == 5


async def test_lets_those_who_wait_go_on_in_turns() -> None:
    pace, order = Pace(), list[tuple[str, int]]()

    def go_on(name: str, left: int) -> None:
        made = pace.take(left)
        order.append((name, made))
        if left > made:
            pace.later(lambda: go_on(name, left - made))

    go_on("large", 3 * DELIVERIES)
    go_on("other", DELIVERIES)
    go_on("small", 5)
    for _ in range(8):
        await asyncio.sleep(0)
    share = DELIVERIES
    assert [each for each in order if each[1]] == [
        ("large", share), ("large", share), ("other", share), ("small", 5), ("large", share - 5), ("large", 5)
    ]  # fmt: skip


async def test_one_that_breaks_does_not_keep_the_next_from_going_on(caplog: pytest.LogCaptureFixture) -> None:
    pace, went_on = Pace(), list[str]()

    def break_off() -> None:
        raise RuntimeError("a fault")

    pace.later(break_off)
    pace.later(lambda: went_on.append("next"))
    await asyncio.sleep(0)
    assert went_on == ["next"]
    assert "broke off" in caplog.text
