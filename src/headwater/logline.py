"""What a line of the log carries beside its message: step, trace, fields, a traceback.

The one place that puts them on a record and takes them off again. How a line looks is `cli/logs.py`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Line(NamedTuple):
    """What belongs to a message. `fields` are JSON values by name, `traceback` is text of any language.

    `flood` names the kind of a line that a stranger can have written as often as they like: the log writes
    the first of each kind and then numbers. There are few kinds, and no name holds what a stranger chooses.
    """

    step: str = ""
    trace: str = ""
    fields: Mapping[str, object] = _NOTHING
    traceback: str = ""
    flood: str = ""


NO_LINE = Line()


def tell(logger: logging.Logger, level: int, line: Line, message: str, *args: object) -> None:
    """Log a message, %-formatted, with what belongs to it."""
    if logger.isEnabledFor(level):
        logger.log(level, message, *args, extra=line._asdict(), stacklevel=2)


def tell_fault(logger: logging.Logger, line: Line, message: str, *args: object) -> None:
    """Log an exception that is being handled, as an error."""
    logger.error(message, *args, extra=line._asdict(), exc_info=True, stacklevel=2)


def line_of(record: logging.LogRecord) -> Line:
    """What a record carries; nothing for one that was not made here."""
    step, trace, traceback, flood = (_text(record, name) for name in ("step", "trace", "traceback", "flood"))
    fields = getattr(record, "fields", None)
    if not isinstance(fields, Mapping):
        fields = _NOTHING
    return Line(step, trace, fields, traceback, flood)  # pyright: ignore[reportUnknownArgumentType]


def _text(record: logging.LogRecord, name: str) -> str:
    value = getattr(record, name, None)
    return value if isinstance(value, str) else ""
