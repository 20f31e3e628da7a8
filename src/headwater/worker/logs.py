"""The standard `logging` module of user code -> `log` messages. Owns the handler and the levels."""

from __future__ import annotations

import logging
from typing import Any

from headwater.protocol.workers.messages import LogLevel
from headwater.worker.faults import traceback_text
from headwater.worker.invocation import current
from headwater.worker.loglines import Send, fields_of, log_line, send_log


class Forwarder(logging.Handler):
    """Sends each record on, with the trace and step of the invocation it belongs to."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._deliver = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; a record that cannot be formatted is shown as it is."""
        try:
            message = record.getMessage()
        except Exception:
            message = f"{record.msg!r} % {record.args!r}"
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["traceback"] = traceback_text(record.exc_info[1])
        line = log_line(_level(record.levelno), message, fields_of(fields, {}), current.get())
        send_log(self._deliver, line)


def _level(number: int) -> LogLevel:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


def forward(send: Send) -> None:
    """Send all that user code and libraries log, from level INFO on unless they set another."""
    root = logging.getLogger()
    root.addHandler(Forwarder(send))
    root.setLevel(logging.INFO)
