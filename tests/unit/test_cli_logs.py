"""The log: what a record looks like for people and for machines, and what it never does to the server."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from headwater.cli import logs
from headwater.config import LogSettings

LOGGER = logging.getLogger("headwater.test")


def logged(settings: LogSettings, work: Callable[[], None]) -> str:
    stream = io.StringIO()
    with logs.logging_to(settings, stream):
        work()
    return stream.getvalue()


def pretty(work: Callable[[], None], **settings: Any) -> str:
    return logged(LogSettings(**settings), work)


def one_json(work: Callable[[], None]) -> dict[str, Any]:
    [line] = logged(LogSettings(format="json"), work).splitlines()
    return json.loads(line)


def info(message: str, **extra: object) -> Callable[[], None]:
    return lambda: LOGGER.info(message, extra=extra)


def test_a_pretty_line_has_level_step_start_of_the_trace_message_and_fields() -> None:
    line = pretty(
        info("stored", step="CreateChatMessage", trace="0123456789abcdef", fields={"n": 1, "who": "a b"})
    )
    assert line[12:] == ' info    CreateChatMessage 01234567 stored n=1 who="a b"\n'


def test_without_a_terminal_there_are_no_colours() -> None:
    assert "\x1b" not in pretty(info("plain"))


def test_what_a_stranger_writes_cannot_command_the_terminal_or_forge_a_line() -> None:
    text = pretty(info("first\nsecond \x1b[31mred\r12:00:00 info", fields={"k\n": "\x07"}))
    first, second = text.removesuffix("\n").split("\n")
    assert first.endswith(r"first k\n=\x07")
    assert second == r"    second \x1b[31mred\r12:00:00 info"


def test_a_message_of_several_lines_keeps_them_below_its_line() -> None:
    lines = pretty(info("┌───┐\n│\ta │\n└───┘", fields={"n": 1}, traceback="T")).splitlines()
    assert lines[0].endswith("┌───┐ n=1")
    assert lines[1:] == ["    │   a │", "    └───┘", "    T"]


def test_a_traceback_stands_below_its_line() -> None:
    lines = pretty(info("failed", traceback="Traceback:\n  File x\nValueError: no")).splitlines()
    assert lines[1:] == ["    Traceback:", "      File x", "    ValueError: no"]


def test_an_exception_that_is_logged_shows_its_traceback() -> None:
    def work() -> None:
        try:
            raise ValueError("broken")
        except ValueError:
            LOGGER.exception("caught")

    assert "ValueError: broken" in pretty(work)


def test_records_below_the_level_are_left_out() -> None:
    assert pretty(info("quiet"), level="warning") == ""
    assert "loud" in pretty(lambda: LOGGER.warning("loud"), level="warning")
    assert "fine" in pretty(lambda: LOGGER.debug("fine"), level="debug")


def test_a_json_line_has_every_part() -> None:
    line = one_json(info("stored", step="S", trace="t1", fields={"n": 1}, traceback="T"))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "headwater.test",
        "message": "stored",
        "step": "S",
        "trace": "t1",
        "fields": {"n": 1},
        "traceback": "T",
    }


@pytest.mark.parametrize(
    "fields",
    [{"big": 2**80}, {"lone": "\ud800"}, {("a", 1): object()}, {"deep": {"lone": "\ud800"}}, {"set": {1}}],
)
def test_fields_that_json_cannot_hold_still_give_one_line_of_json(fields: dict[Any, Any]) -> None:
    assert one_json(info("odd", fields=fields))["message"] == "odd"


def test_a_message_is_made_when_it_is_logged_because_its_arguments_may_change() -> None:
    mutable = [1]

    def work() -> None:
        LOGGER.info("value %s", mutable)
        mutable.append(2)

    assert "value [1]" in pretty(work)


def test_warnings_of_libraries_are_logged_and_their_chatter_is_not() -> None:
    def work() -> None:
        logging.getLogger("somebody.else").info("chatter")
        logging.getLogger("somebody.else").warning("careful")

    text = pretty(work)
    assert "careful" in text
    assert "chatter" not in text


def test_after_the_end_nothing_is_written_and_levels_are_as_before() -> None:
    before = logging.getLogger("headwater").level, list(logging.getLogger().handlers)
    stream = io.StringIO()
    with logs.logging_to(LogSettings(level="debug"), stream):
        pass
    LOGGER.error("late")
    assert stream.getvalue() == ""
    assert (logging.getLogger("headwater").level, logging.getLogger().handlers) == before


class StuckStream(io.StringIO):
    """A terminal that takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.released.wait(10)
        return super().write(text)


def test_a_stuck_terminal_holds_up_nobody_and_what_was_dropped_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 3)
    stream = StuckStream()
    with logs.logging_to(LogSettings(), stream):
        LOGGER.info("first")
        assert stream.entered.wait(10)
        for number in range(10):
            LOGGER.info("number %s", number)
        stream.released.set()
    text = stream.getvalue()
    assert "number 2" in text
    assert "number 3" not in text
    assert "7 log records were dropped" in text


def test_a_closed_pipe_is_survived() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", buffering=1)
    with logs.logging_to(LogSettings(), stream):
        LOGGER.info("into the void")
    with pytest.raises(BrokenPipeError):
        stream.close()
