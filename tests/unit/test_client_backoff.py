"""How long a client waits before it tries again."""

from __future__ import annotations

from headwater.client.backoff import SOON_ATTEMPTS, Backoff


def waits(chance: float, attempts: int) -> list[float]:
    backoff = Backoff(lambda: chance)
    return [backoff.wait() for _ in range(attempts)]


def test_a_server_that_is_back_within_half_a_minute_is_found_within_a_second() -> None:
    assert waits(1, 5) == [0.25, 0.5, 1, 1, 1]
    assert max(waits(1, SOON_ATTEMPTS)) == 1
    assert sum(waits(0.5, SOON_ATTEMPTS)) > 25


def test_one_that_is_away_for_longer_is_asked_less_and_less_and_never_given_up() -> None:
    assert waits(1, SOON_ATTEMPTS + 5)[SOON_ATTEMPTS:] == [2, 4, 8, 15, 15]
    assert waits(1, 5000)[-1] == 15


def test_chance_spreads_each_wait_over_its_second_half() -> None:
    assert waits(0, 4) == [0.125, 0.25, 0.5, 0.5]
    assert waits(0, SOON_ATTEMPTS + 6)[-1] == 7.5


def test_it_begins_anew_when_it_is_told_to() -> None:
    backoff = Backoff(lambda: 1)
    for _ in range(60):
        backoff.wait()
    backoff.begin_anew()
    assert backoff.wait() == 0.25
