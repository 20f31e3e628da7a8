"""So many times a second over time, and a number at once; what is kept of it is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.server.rates import Rates


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        return self.at


def test_a_burst_goes_at_once_and_then_so_many_a_second() -> None:
    hand = Hand()
    rates = Rates(10, 3, now=hand)
    assert [rates.take("a") for _ in range(3)] == [0.0] * 3
    wait = rates.take("a")
    assert 0.09 < wait < 0.11
    hand.at += wait
    assert rates.take("a") == 0.0
    assert rates.take("a") > 0
    hand.at += 100
    assert [rates.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_what_one_does_costs_no_other() -> None:
    rates = Rates(1, 1, now=Hand())
    assert rates.take("a") == 0.0
    assert rates.take("a") > 0
    assert rates.take("b") == 0.0


def test_being_refused_takes_nothing_so_that_the_wait_does_not_grow() -> None:
    rates = Rates(1, 1, now=Hand())
    rates.take("a")
    assert len({rates.take("a") for _ in range(1000)}) == 1


def test_who_has_earned_all_again_is_forgotten_as_others_come() -> None:
    hand = Hand()
    rates = Rates(10, 5, now=hand)
    for key in range(1000):
        rates.take(key)
    assert len(rates) == 1000
    hand.at += 1
    for key in range(2000, 3000):
        rates.take(key)
    assert len(rates) == 1000


def test_however_many_come_the_memory_is_bounded_and_the_latest_are_known() -> None:
    rates = Rates(0.001, 1, now=Hand(), most=50)
    for key in range(10_000):
        rates.take(key)
    assert len(rates) == 50
    assert rates.take(9_999) > 0
    assert rates.take(0) == 0.0


@given(st.lists(st.floats(0, 2, allow_nan=False), max_size=60), st.integers(1, 5), st.integers(1, 20))
def test_in_no_stretch_of_time_are_there_more_than_the_burst_and_the_rate(
    pauses: list[float], burst: int, per_second: int
) -> None:
    hand = Hand()
    rates = Rates(per_second, burst, now=hand)
    taken: list[float] = []
    for pause in pauses:
        hand.at += pause
        if rates.take("a") == 0.0:
            taken.append(hand.at)
    for first, began in enumerate(taken):
        for last, ended in enumerate(taken[first:], first):
            assert last - first + 1 <= burst + (ended - began) * per_second + 1e-3
