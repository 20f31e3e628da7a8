"""The writes of one client that the server has not answered, in the order in which they were made. Pure, no
I/O.

Owns which of them are said, and which are said again or refused when a connection is lost: what may have been
done is said again with its key, so it is done once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headwater.client.refusals import offline

UNDER_WAY = 16
"""Writes under way at once; the others wait here. The server takes those of a group in the order in which
they are said. But one that it is too busy for is said again after those behind it, so where there are many,
or that has happened, the next of a group waits for the answer to the one before."""
MOST_WRITES = 1000
"""Of those that wait for an answer."""
MOST_WRITES_BYTES = 1_000_000
"""Of their messages."""

Written = Callable[[dict[str, Any] | None, int], None]
"""Told how a write has ended: None and the group's version (0: there was nothing to delete), or the server's
error."""

Again = Callable[[dict[str, Any], bool], bool]
"""Whether a refusal of a write is not its end; asked with it, and with whether the write waits."""


@dataclass(slots=True)
class _Write:
    message: dict[str, Any]
    size: int
    waits: bool
    """For a connection, however long."""
    written: Written
    ask: int = 0
    """The number of its question while it is under way."""
    doubtful: bool = False
    """It was said on a connection that was lost: nobody knows whether it was done."""


class Writes:
    """What waits for an answer. `say` says a message, and answers under which number."""

    def __init__(
        self,
        say: Callable[[dict[str, Any]], int],
        *,
        most: int = MOST_WRITES,
        most_bytes: int = MOST_WRITES_BYTES,
    ) -> None:
        self._say = say
        self._most = most
        self._most_bytes = most_bytes
        self._all: list[_Write] = []
        self._bytes = 0
        self._under_way = 0
        self._goes = False
        self._one_by_one = False

    def add(self, message: dict[str, Any], size: int, waits: bool, written: Written) -> None:
        """One more. What is above the bounds is refused: `QUEUE_FULL`."""
        full = len(self._all) >= self._most
        if full or self._bytes + size > self._most_bytes:
            bound = f"{self._most} writes" if full else f"{self._most_bytes} bytes"
            said = f"More than {bound} would wait for an answer of the server."
            written({"code": "QUEUE_FULL", "message": said}, 0)
            return
        self._bytes += size
        self._all.append(_Write(message, size, waits, written))
        self._say_on()

    def withdraw(self, message: dict[str, Any]) -> None:
        """Nobody waits for this one any longer. It is not said, unless it was."""
        for write in list(self._all):
            if write.message is message and not (write.ask or write.doubtful):
                self._end(write, offline("It was given up before it was said."))

    def go(self) -> None:
        """Say what waits: a connection is open, or what held it up is over."""
        self._goes = True
        self._say_on()

    def hold(self, *, busy: bool = False) -> None:
        """Say nothing for now; `busy`: the server was too busy."""
        self._goes = False
        self._one_by_one = self._one_by_one or busy

    def disconnected(self) -> None:
        """The connection is gone. What has no key cannot be said again."""
        self._goes = False
        for write in [write for write in self._all if write.ask]:
            self._rest(write)
            write.doubtful = True
            if "key" not in write.message:
                lost = "The connection ended before the server answered: it may have been done."
                self._end(write, offline(lost))

    def refuse(self, refusal: dict[str, Any], *, every: bool = False) -> None:
        """Nobody can be asked for now, which is why what does not wait was surely not done; `every`: nor will
        anybody be."""
        for write in list(self._all):
            if every or not (write.ask or write.waits or write.doubtful):
                self._end(write, refusal)

    def answered(self, ask: int, refusal: dict[str, Any] | None, version: int, again: Again) -> None:
        """The server's answer to a question, which may be about none of these."""
        for write in self._all:
            if write.ask == ask:
                self._rest(write)
                write.doubtful = False
                if refusal is None or not again(refusal, write.waits):
                    self._end(write, refusal, version)
                break
        self._say_on()

    def _say_on(self) -> None:
        self._one_by_one = self._one_by_one and bool(self._all)
        in_turn = self._one_by_one or len(self._all) > UNDER_WAY
        busy: set[tuple[str, str]] = set()
        for write in list(self._all):
            if not self._goes or self._under_way >= UNDER_WAY:
                return
            group = (write.message["stream"], write.message["group"])
            is_next = not in_turn or group not in busy
            busy.add(group)
            if is_next and not write.ask:
                self._under_way += 1
                write.ask = self._say(write.message)

    def _rest(self, write: _Write) -> None:
        write.ask = 0
        self._under_way -= 1

    def _end(self, write: _Write, refusal: dict[str, Any] | None, version: int = 0) -> None:
        if write.ask:
            self._rest(write)
        self._bytes -= write.size
        self._all.remove(write)
        write.written(refusal, version)
