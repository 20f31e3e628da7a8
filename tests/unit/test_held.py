"""All unfinished messages together have a bound; the oldest goes first."""

from __future__ import annotations

from headwater.server.held import HeldBytes


class Socket:
    def __init__(self) -> None:
        self.given_up = False

    def give_up(self) -> None:
        self.given_up = True


def test_the_one_that_is_unfinished_for_longest_goes_first() -> None:
    unfinished: HeldBytes[Socket] = HeldBytes(100)
    first, second, third = Socket(), Socket(), Socket()
    unfinished.hold(first, 40)
    unfinished.hold(second, 40)
    unfinished.hold(first, 50)
    assert unfinished.used == 90
    unfinished.hold(third, 11)
    assert [one.given_up for one in (first, second, third)] == [True, False, False]
    assert unfinished.used == 51


def test_what_is_finished_does_not_count() -> None:
    unfinished: HeldBytes[Socket] = HeldBytes(100)
    first, second = Socket(), Socket()
    unfinished.hold(first, 60)
    unfinished.hold(first, 0)
    unfinished.hold(second, 60)
    unfinished.hold(first, 40)
    assert not first.given_up
    assert not second.given_up
    unfinished.hold(first, 0)
    unfinished.hold(second, 0)
    assert unfinished.used == 0


def test_one_that_is_too_much_alone_goes_too() -> None:
    unfinished: HeldBytes[Socket] = HeldBytes(100)
    unfinished.hold(alone := Socket(), 101)
    assert alone.given_up
    assert unfinished.used == 0
