"""The log: one line per record, for people or for machines, on standard error.

Owns the two formats and the thread that writes them, so that a slow terminal never holds up the server.
Records come from the loggers under `headwater`; what they carry beside the message is `logline.py`'s, what
of it nobody may read `redact.py`'s.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TextIO, cast

import orjson

from headwater.cli.floods import Floods
from headwater.cli.terminal import has_colours, visible
from headwater.config import LogSettings
from headwater.logline import Line, line_of
from headwater.redact import Redaction

MAX_WAITING = 10_000
"""Records that wait to be written; more are dropped and counted, never awaited."""
LOOK_SECONDS = 5.0
"""How often a log to which nothing is written looks whether a number is due."""
CLOSE_TIMEOUT = 2.0
"""Seconds that the last records get at the end."""

_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_TRACE_SHOWN = 8


class PrettyFormatter(logging.Formatter):
    """For people: time, level, step, the start of the trace, message, fields; below them, set in so that it
    cannot be taken for a record, what more lines the message has, and a traceback."""

    def __init__(self, *, colours: bool, redaction: Redaction) -> None:
        super().__init__()
        self._colours = colours
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, without a line end."""
        now = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        message, *more = self._redaction.text(record.getMessage()).split("\n")
        line = line_of(record)
        parts = [
            self._paint(now, "2"),
            self._paint(f"{record.levelname.lower():<7}", _COLOURS.get(record.levelname, "0")),
            self._paint(visible(line.step), "1"),
            self._paint(visible(line.trace[:_TRACE_SHOWN]), "2"),
            visible(message),
            *(
                self._paint(f"{visible(str(key))}={_compact(value)}", "2")
                for key, value in self._redaction.fields(line.fields).items()
            ),
        ]
        lines = [" ".join(part for part in parts if part)]
        more += self._redaction.text(_traceback(self, record, line)).splitlines()
        lines += (f"    {visible(line.expandtabs(4))}" for line in more)
        return "\n".join(lines)

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and text else text


class JsonFormatter(logging.Formatter):
    """For machines: one JSON object per line."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """One record as JSON text, without a line end."""
        told = line_of(record)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redaction.text(record.getMessage()),
        }
        line |= {name: text for name, text in (("step", told.step), ("trace", told.trace)) if text}
        if told.fields:
            line["fields"] = self._redaction.fields(told.fields)
        if traceback := _traceback(self, record, told):
            line["traceback"] = self._redaction.text(traceback)
        return _json(line)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord, line: Line) -> str:
    if line.traceback:
        return line.traceback.rstrip("\n")
    if record.exc_info and record.exc_info[0]:
        return formatter.formatException(record.exc_info)
    return ""


def _json(value: object) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, an integer beyond 64 bits, a key that is no JSON key
        return json.dumps(_plain(value))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {str(key): _plain(member) for key, member in members.items()}
    return value if isinstance(value, int) else str(value)


def _compact(value: object) -> str:
    return visible(value if isinstance(value, str) and value and " " not in value else _json(value))


class _Handler(logging.Handler):
    """Hands records to a thread that writes them, and never waits for it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._floods = Floods()
        self._waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="headwater-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record, or only count it; the message is made now, because its arguments may change."""
        flood = line_of(record).flood
        if flood and not self._floods.takes(flood, record):
            return
        record.msg, record.args = record.getMessage(), None
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what waits, unless nobody takes it."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_TIMEOUT)
            self._thread.join(CLOSE_TIMEOUT)
        super().close()

    def _run(self) -> None:
        while True:
            try:
                record = self._waiting.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._tell_numbers()
                continue
            if record is None:
                self._tell_numbers(ends=True)
                return
            self._write(self.format(record))
            if self._waiting.empty():
                self._tell_numbers()

    def _tell_numbers(self, *, ends: bool = False) -> None:
        """How many records were not written, and why."""
        self.acquire()  # `emit` counts under the same lock
        try:
            dropped, self._dropped = self._dropped, 0
            records = self._floods.numbers(ends=ends)
        finally:
            self.release()
        for record in (*records, *([_missing(dropped)] if dropped else ())):
            self._write(self.format(record))

    def _write(self, line: str) -> None:
        # A log that cannot be written (a closed pipe) must not stop the server.
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()


def _missing(dropped: int) -> logging.LogRecord:
    message = f"{dropped} log records were dropped: the log is written too slowly"
    return logging.LogRecord("headwater.log", logging.WARNING, "", 0, message, None, None)


@contextmanager
def logging_to(
    settings: LogSettings,
    stream: TextIO | None = None,
    *,
    without: Collection[str] = (),
    redaction: Redaction | None = None,
) -> Generator[None]:
    """Send the log to the stream (standard error) while the context lasts, `without` the loggers named and
    without what `redaction` knows as secret, at least what every log leaves out."""
    target = stream or sys.stderr
    handler = _Handler(target)
    handler.addFilter(lambda record: record.name not in without)
    secrets = redaction or Redaction(names=settings.redact)
    pretty = settings.format == "pretty"
    colours = has_colours(target)
    handler.setFormatter(
        PrettyFormatter(colours=colours, redaction=secrets) if pretty else JsonFormatter(secrets)
    )
    root, own = logging.getLogger(), logging.getLogger("headwater")
    before = root.level, own.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    own.setLevel(settings.level.upper())
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        root.setLevel(before[0])
        own.setLevel(before[1])
        handler.close()
