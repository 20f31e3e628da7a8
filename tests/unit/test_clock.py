"""The stamps of protocol v0: they always rise, stay close to the clock and never fall below an old one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headwater.clock import DOUBT_SECONDS, LEAP_SECONDS, RESTART_SLACK_MS, DoubtingClock, Stamps, SystemClock
from support.stream_clock import HandClock

NOW = 1_760_000_000.0
"""A moment in 2025, in seconds."""


def test_a_stamp_is_the_time_in_milliseconds() -> None:
    assert Stamps(HandClock(NOW + 0.0625)).next() == NOW * 1000 + 62.5


def test_stamps_of_one_moment_rise_by_a_microsecond() -> None:
    stamps = Stamps(HandClock(NOW))
    assert [f"{stamps.next() - NOW * 1000:.3f}" for _ in range(3)] == ["0.000", "0.001", "0.002"]


def test_stamps_catch_up_with_the_clock_after_a_burst() -> None:
    clock = HandClock(NOW)
    stamps = Stamps(clock)
    for _ in range(5000):
        stamps.next()
    clock.time += 1.0
    assert stamps.next() == (NOW + 1.0) * 1000


def test_a_clock_that_goes_back_does_not_take_the_stamps_along() -> None:
    clock = HandClock(NOW)
    stamps = Stamps(clock)
    first = stamps.next()
    clock.time -= 3600
    assert stamps.next() > first


def test_a_floor_from_before_lifts_the_first_stamp_above_all_that_may_have_been_sent() -> None:
    floor = NOW * 1000 + 250
    assert Stamps(HandClock(NOW), floor).next() > floor + RESTART_SLACK_MS


def test_a_floor_long_past_changes_nothing() -> None:
    assert Stamps(HandClock(NOW), (NOW - 60) * 1000).next() == NOW * 1000


@given(
    st.lists(st.floats(-5, 5, allow_nan=False), min_size=1, max_size=50),
    st.floats(0, 4e12, allow_nan=False),
)
def test_stamps_strictly_rise_as_they_are_written_whatever_the_clock_does(
    jumps: list[float], floor: float
) -> None:
    clock = HandClock(NOW)
    stamps = Stamps(clock, floor)
    written: list[float] = []
    for jump in jumps:
        clock.time += jump
        written += [float(f"{stamps.next():.3f}") for _ in range(3)]
    assert all(earlier < later for earlier, later in pairwise(written))
    assert written[0] > floor


def test_the_system_clock_tells_both_times() -> None:
    clock = SystemClock()
    assert clock.now() > NOW - 10 * 365 * 86_400
    assert clock.monotonic() <= clock.monotonic()


class TestDoubtingClock:
    @staticmethod
    def passes(clock: HandClock, seconds: float) -> None:
        clock.time += seconds
        clock.ran += seconds

    def test_goes_with_the_wall(self) -> None:
        clock = HandClock(NOW)
        doubting = DoubtingClock(clock)
        self.passes(clock, 5000.0)
        assert doubting.now() == NOW + 5000.0
        clock.time += LEAP_SECONDS
        assert doubting.now() == NOW + 5000.0 + LEAP_SECONDS
        clock.time -= 4000.0
        assert doubting.now() == NOW + 1000.0 + LEAP_SECONDS

    def test_believes_a_leap_once_it_has_lasted(self) -> None:
        clock = HandClock(NOW)
        doubting = DoubtingClock(clock)
        clock.time += 86_400.0
        for _ in range(2):
            assert doubting.now() == NOW
        self.passes(clock, DOUBT_SECONDS - 1)
        assert doubting.now() == NOW + DOUBT_SECONDS - 1
        self.passes(clock, 1.0)
        assert doubting.now() == NOW + 86_400.0 + DOUBT_SECONDS

    def test_a_wrong_clock_that_is_set_right_has_done_nothing(self) -> None:
        clock = HandClock(NOW)
        doubting = DoubtingClock(clock)
        for _ in range(3):
            clock.time += 86_400.0
            assert doubting.now() == clock.time - 86_400.0
            self.passes(clock, DOUBT_SECONDS / 2)
            clock.time -= 86_400.0
            assert doubting.now() == clock.time
            self.passes(clock, DOUBT_SECONDS / 2)
            assert doubting.now() == clock.time
