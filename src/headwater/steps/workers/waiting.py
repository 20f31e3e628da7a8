"""Invocations that no worker can take yet, in one line for each reason to wait.

What waits for the same reason stands behind one another: while the first of a line cannot be placed, nobody
behind it is looked at. So no look costs more for a longer line. Knows no worker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from headwater.steps.workers.invocation import Invocation


class Reason(NamedTuple):
    """What decides whether a waiting invocation can be placed: its file, and whether a stalled worker gave it
    back. Their number is bounded by the project's files."""

    file: str
    withdrawn: bool


class Waiting:
    """The lines. Their order is that in which they were begun or last served."""

    def __init__(self) -> None:
        self._lines: dict[Reason, OrderedDict[int, Invocation]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __contains__(self, invocation: Invocation) -> bool:
        """Whether somebody waits for the same reason."""
        return bool(self._lines) and _reason(invocation) in self._lines

    def add(self, invocation: Invocation) -> None:
        """Let it wait, as the last of its line."""
        self._lines.setdefault(_reason(invocation), OrderedDict())[invocation.id] = invocation
        if invocation.allowance is not None:
            invocation.allowance.waiting += 1

    def discard(self, invocation: Invocation) -> None:
        """It waits no more, if it did."""
        reason = _reason(invocation)
        line = self._lines.get(reason)
        if line is not None and line.pop(invocation.id, None) is not None:
            self._left(invocation)
            if not line:
                del self._lines[reason]

    def first(self, reason: Reason) -> Invocation | None:
        """Who is the first in a line."""
        line = self._lines.get(reason)
        return next(iter(line.values())) if line else None

    def served(self, reason: Reason) -> None:
        """Others are looked at before this line."""
        if reason in self._lines:
            self._lines[reason] = self._lines.pop(reason)

    def reasons(self) -> list[Reason]:
        """Why there are lines, in their order."""
        return list(self._lines)

    def count(self, reason: Reason) -> int:
        """How many wait for that reason."""
        return len(self._lines.get(reason, ()))

    def take_all(self) -> Iterator[Invocation]:
        """Everybody, line by line; they wait no more."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            for invocation in line.values():
                self._left(invocation)
                yield invocation

    @staticmethod
    def _left(invocation: Invocation) -> None:
        if invocation.allowance is not None:
            invocation.allowance.waiting -= 1


def _reason(invocation: Invocation) -> Reason:
    return Reason(invocation.file, invocation.withdrawals > 0)
