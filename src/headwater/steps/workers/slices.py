"""Hands on what comes from a worker a slice at a time, so that one that floods leaves each turn of the loop
to the others. Owns what has come and was not handed on yet; what it is, and how its source is left unread
meanwhile, is whoever uses it's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

SLICE = 32
"""Most messages or lines of one source in one turn of the loop: 2 to 3 ms at 50 to 90 us each. A quarter of a
megabyte of log lines came in one piece, and took 120."""


T = TypeVar("T")


class Slices(Generic[T]):
    """Gives `hand_on` one element after the other. `read` is told False when the source is to be left unread,
    and True once all that came is handed on."""

    def __init__(self, hand_on: Callable[[T], None], read: Callable[[bool], None]) -> None:
        self.behind = False
        """Whether some wait for the next turn."""
        self._hand_on = hand_on
        self._read = read
        self._waiting: Iterator[T] = iter(())

    def take(self, came: Iterator[T]) -> None:
        """Hand on what came, as far as this turn allows. `came` raises nothing."""
        self.finish()
        self._waiting = came
        self._hand_on_some()

    def finish(self) -> None:
        """Hand on all that waits: nothing follows it."""
        for one in self._waiting:
            self._hand_on(one)

    def _hand_on_some(self) -> None:
        left = SLICE
        try:
            while left and (one := next(self._waiting, None)) is not None:
                left -= 1
                self._hand_on(one)
        except BaseException:
            left = 0  # What follows is handed on all the same.
            raise
        finally:
            if not left:
                self._fall_behind()
        if left and self.behind:
            self.behind = False
            self._read(True)

    def _fall_behind(self) -> None:
        if not self.behind:
            self.behind = True
            self._read(False)
        asyncio.get_running_loop().call_soon(self._hand_on_some)
