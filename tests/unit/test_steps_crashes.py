"""Which step is to blame for a dead process, and when it has to pause."""

from __future__ import annotations

import pytest

from headwater.steps.workers.crashes import FORGIVEN_EVERY, MOST_AT_ONCE, SUSPECTED_FOR, Crashes
from support.stream_clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def test_what_ran_alone_is_to_blame(clock: HandClock) -> None:
    assert set(Crashes(clock).died(["a"])) == {"a"}


def test_of_several_that_is_to_blame_which_runs_in_the_next_that_dies_too(clock: HandClock) -> None:
    crashes = Crashes(clock)
    assert not crashes.died(["a", "b", "c"])
    assert set(crashes.died(["b", "d"])) == {"b"}


def test_suspicion_passes(clock: HandClock) -> None:
    crashes = Crashes(clock)
    crashes.died(["a", "b"])
    clock.ran += SUSPECTED_FOR
    assert not crashes.died(["b", "c"])


def test_a_death_with_nothing_running_is_nobodys(clock: HandClock) -> None:
    assert not Crashes(clock).died([])


def test_a_step_pauses_after_several_deaths_in_a_row_and_one_is_forgiven_at_a_time(clock: HandClock) -> None:
    crashes = Crashes(clock)
    for _ in range(MOST_AT_ONCE - 1):
        crashes.died(["a"])
        assert crashes.refusal("a") is None
    crashes.died(["a"])
    refusal = crashes.refusal("a")
    assert refusal is not None
    assert refusal.details["seconds"] == FORGIVEN_EVERY
    assert crashes.refusal("b") is None

    clock.ran += FORGIVEN_EVERY
    assert crashes.refusal("a") is None
    crashes.died(["a"])
    assert crashes.refusal("a") is not None


def test_deaths_long_ago_do_not_count(clock: HandClock) -> None:
    crashes = Crashes(clock)
    for _ in range(10 * MOST_AT_ONCE):
        crashes.died(["a"])
        clock.ran += FORGIVEN_EVERY
        assert crashes.refusal("a") is None
