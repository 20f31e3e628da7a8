"""Lines of the log that strangers can have written as often as they like: the first of a kind are written,
then how many there were, now and then. Pure: told the time by a clock that is passed in.

Which lines are of a kind is said where they are told (`Line.flood`); all others are always written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

FIRST = 5
"""Lines of a kind that are written as they are, within a window."""

WINDOW = 60.0
"""Seconds, after which the lines that were left out are told as a number."""

MOST_KINDS = 200
"""Kinds that are known apart; those beyond them are one."""

_MOST_SHOWN = 300
"""Characters of the last line that a number tells."""


class _Kind:
    __slots__ = ("began", "last", "left", "level", "told")

    def __init__(self, began: float) -> None:
        self.began = began
        self.told = self.left = self.level = 0
        self.last = ""


class Floods:
    """The kinds of one log."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kinds: dict[str, _Kind] = {}

    def takes(self, name: str, record: logging.LogRecord) -> bool:
        """Whether a line of a kind is written; else it is counted."""
        if name not in self._kinds and len(self._kinds) >= MOST_KINDS:
            name = ""
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _Kind(self._now())
        if kind.told < FIRST:
            kind.told += 1
            return True
        kind.left += 1
        kind.level = max(kind.level, record.levelno)
        kind.last = record.getMessage()[:_MOST_SHOWN]
        return False

    def numbers(self, *, ends: bool = False) -> list[logging.LogRecord]:
        """Lines that tell how many were left out, of the windows that are over; with `ends` of all. A flood
        that goes on is told as a number alone; a kind of which nothing came for a window begins anew."""
        now = self._now()
        over = [(name, kind) for name, kind in self._kinds.items() if ends or now - kind.began >= WINDOW]
        records: list[logging.LogRecord] = []
        for name, kind in over:
            if not kind.left:
                del self._kinds[name]
                continue
            seconds = now - kind.began
            text = f"{kind.left} more lines like this one were left out within {seconds:.0f} s: {kind.last}"
            records.append(logging.LogRecord("headwater.log", kind.level, "", 0, text, None, None))
            kind.began, kind.left, kind.level = now, 0, 0
        return records
