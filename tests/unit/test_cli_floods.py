"""A line that strangers can have written again and again is written a few times, then told as a number."""

from __future__ import annotations

import io
import logging

from headwater.cli import logs
from headwater.cli.floods import FIRST, MOST_KINDS, WINDOW, Floods
from headwater.config import LogSettings
from headwater.logline import NO_LINE, Line, tell

LOGGER = logging.getLogger("headwater.test")


class Hand:
    """A clock that a test moves."""

    at = 5.0

    def __call__(self) -> float:
        return self.at


def record(text: str = "refused", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("headwater.test", level, "", 0, text, None, None)


def test_the_first_lines_of_a_kind_are_written_and_then_numbers() -> None:
    hand = Hand()
    floods = Floods(hand)
    assert [floods.takes("a", record()) for _ in range(FIRST + 100)] == [True] * FIRST + [False] * 100
    assert floods.takes("b", record()), "another kind is another"
    assert floods.numbers() == []
    hand.at += WINDOW
    [told] = floods.numbers()
    assert told.getMessage() == "100 more lines like this one were left out within 60 s: refused"
    assert told.levelno == logging.WARNING
    assert not floods.takes("a", record()), "a flood that goes on is a number alone"
    hand.at += WINDOW
    assert len(floods.numbers()) == 1


def test_after_a_quiet_window_a_kind_begins_anew() -> None:
    hand = Hand()
    floods = Floods(hand)
    for _ in range(FIRST + 1):
        floods.takes("a", record())
    for _ in range(2):
        hand.at += WINDOW
        floods.numbers()
    assert floods.takes("a", record())


def test_kinds_without_end_hold_no_memory() -> None:
    floods = Floods(Hand())
    taken = sum(floods.takes(str(number), record()) for number in range(10_000))
    assert taken == MOST_KINDS + FIRST
    assert len(floods._kinds) == MOST_KINDS + 1  # pyright: ignore[reportPrivateUsage]


def test_the_log_writes_what_is_of_no_kind_and_counts_the_rest_at_its_end() -> None:
    stream = io.StringIO()
    with logs.logging_to(LogSettings(), stream):
        for _ in range(20):
            tell(LOGGER, logging.WARNING, Line(flood="x"), "refused %s", "it")
            tell(LOGGER, logging.WARNING, NO_LINE, "written")
    lines = stream.getvalue().splitlines()
    assert sum("written" in line for line in lines) == 20
    assert sum("refused it" in line for line in lines) == FIRST + 1
    assert f"{20 - FIRST} more lines like this one were left out" in lines[-1]
