"""When a worker's loop counts as stalled, and which worker gets an invocation."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.steps.workers.dispatch import choose
from headwater.steps.workers.intake import CALL_OVERHEAD_BYTES, Intake
from headwater.steps.workers.pulse import SECONDS_PER_BYTE, STANDSTILL, Freight, Pulse


def test_a_ping_unanswered_at_two_looks_makes_a_stall() -> None:
    pulse = Pulse(0.01)
    pulse.ask(1.0)
    assert not pulse.look(1.005)
    assert not pulse.look(1.011)
    assert pulse.look(1.016)
    assert (pulse.stalled, pulse.stalled_since) == (True, 1.0)
    assert not pulse.look(1.1), "a stall is told once"


def test_an_answer_between_the_looks_clears_the_doubt() -> None:
    pulse = Pulse(0.01)
    number = pulse.ask(1.0)
    assert not pulse.look(1.02)
    assert not pulse.answer(number, 1.021)
    assert not pulse.look(1.03)
    assert not pulse.stalled


def test_an_answer_ends_a_stall_and_says_so() -> None:
    pulse = Pulse(0.01)
    number = pulse.ask(1.0)
    pulse.look(1.02)
    pulse.look(1.03)
    assert pulse.answer(number, 5.0)
    assert not pulse.stalled


def test_an_answer_to_an_earlier_ping_counts_for_nothing() -> None:
    pulse = Pulse(0.01)
    first = pulse.ask(1.0)
    pulse.answer(first, 1.001)
    pulse.ask(2.0)
    assert not pulse.answer(first, 2.001)
    pulse.look(2.02)
    assert pulse.look(2.03)


def test_a_late_server_proves_nothing() -> None:
    pulse = Pulse(0.01)
    pulse.ask(1.0)
    pulse.look(1.02)
    pulse.excuse(1.05)
    assert not pulse.look(1.055)
    assert not pulse.look(1.061)
    assert pulse.look(1.066)


def test_pings_are_due_only_at_intervals_and_one_at_a_time() -> None:
    pulse = Pulse(0.01)
    assert pulse.is_due(1.0)
    number = pulse.ask(1.0)
    assert not pulse.is_due(2.0)
    pulse.answer(number, 2.0)
    assert not pulse.is_due(2.049)
    assert pulse.is_due(2.051)


def test_soon_after_an_answer_a_ping_is_owed_until_one_goes_out() -> None:
    pulse = Pulse(0.01)
    assert pulse.want(1.0)
    number = pulse.ask(1.0)
    assert not pulse.want(1.001), "one at a time"
    assert not pulse.owed
    pulse.answer(number, 1.002)
    assert not pulse.want(1.0069)
    assert pulse.is_due(1.0069), "for the next tick"
    pulse.ask(1.0069)
    assert not pulse.owed
    pulse.answer(number + 1, 1.01)
    assert pulse.want(1.016)


@dataclass(frozen=True)
class Fake:
    name: str
    load_count: int = 0
    stalled: bool = False


def name(chosen: Fake | None) -> str | None:
    return chosen.name if chosen else None


def test_the_least_loaded_worker_is_chosen_and_the_last_is_kept_back() -> None:
    workers = [Fake("a", 2), Fake("b", 1), Fake("reserve", 0)]
    assert name(choose(workers)) == "b"


def test_the_reserve_is_used_when_all_others_are_stalled() -> None:
    workers = [Fake("a", 0, stalled=True), Fake("b", 0, stalled=True), Fake("reserve", 5)]
    assert name(choose(workers)) == "reserve"


def test_a_risky_step_waits_rather_than_take_the_last_living_worker() -> None:
    workers = [Fake("a", stalled=True), Fake("reserve")]
    assert choose(workers, risky=lambda _: True) is None
    assert name(choose([Fake("a", stalled=True), Fake("b"), Fake("reserve")], risky=lambda _: True)) == "b"


def test_without_a_reserve_every_living_worker_is_used() -> None:
    assert name(choose([Fake("a", 3), Fake("b", 1)], reserve=False)) == "b"
    assert name(choose([Fake("a")])) == "a"


def test_nobody_is_chosen_when_all_are_stalled_or_there_are_none() -> None:
    assert choose([Fake("a", stalled=True)]) is None
    assert choose([]) is None


class Socket:
    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


def test_sockets_are_left_unread_above_the_limit_and_read_again_at_half_of_it() -> None:
    intake = Intake(10 * CALL_OVERHEAD_BYTES)
    early = Socket()
    intake.attach(early)
    for _ in range(10):
        intake.take(0)
    assert not early.paused
    intake.take(0)
    assert early.paused
    late = Socket()
    intake.attach(late)
    assert late.paused
    for _ in range(5):
        intake.give_back(0)
    assert early.paused
    intake.give_back(0)
    assert not early.paused
    assert not late.paused


def test_a_socket_that_is_gone_is_left_alone() -> None:
    intake = Intake(0)
    socket = Socket()
    intake.attach(socket)
    intake.detach(socket)
    intake.take(1)
    assert not socket.paused


# --- freight ---

MEGABYTES = 10_000_000


def test_a_worker_without_freight_is_not_excused() -> None:
    assert not Freight().excuses(0, 1.0)
    assert not Freight().excuses(500, 1.0), "small frames that wait excuse nothing"


def test_bytes_under_way_excuse_as_long_as_they_move() -> None:
    freight = Freight()
    freight.sent(MEGABYTES, 1.0)
    for second in range(20):
        assert freight.excuses(MEGABYTES - second, 1.0 + second * STANDSTILL * 0.9)
    stuck = 1.0 + 19 * STANDSTILL * 0.9
    assert not freight.excuses(MEGABYTES - 19, stuck + STANDSTILL)
    assert freight.excuses(MEGABYTES - 20, stuck + STANDSTILL + 0.1), "they move again"


def test_bytes_that_have_left_excuse_in_proportion() -> None:
    freight = Freight()
    freight.sent(MEGABYTES, 1.0)
    assert freight.excuses(1, 1.2)
    assert freight.excuses(0, 1.2 + 0.9 * MEGABYTES * SECONDS_PER_BYTE)
    assert not freight.excuses(0, 1.2 + MEGABYTES * SECONDS_PER_BYTE)
    assert not freight.excuses(0, 1.3)
