"""What one socket asked to be written, and how it is told of it.

Owns the order: writes of one client to one group take effect as they were sent, and one that waits for its
rule holds up those behind it in its group, of that client alone. Owns how many may be under way. What has
been asked is carried out also for a client that leaves; it is then told nothing.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from headwater.errors import HeadwaterError, TooMany
from headwater.model import GroupKey, Item
from headwater.peer import Peer
from headwater.server.live.client_writes import Begun, ClientWrites, Wanted, WantedEvent
from headwater.streams.commits import ENTRY_BYTES, refused

log = logging.getLogger("headwater.socket")

Told = Callable[[Item | None, HeadwaterError | None], None]
"""Hears what became of a write: the item, or what stands against it."""


class _Asked(NamedTuple):
    wanted: Wanted | WantedEvent
    then: Told

    @property
    def size(self) -> int:
        return ENTRY_BYTES + len(self.wanted.body)


class Writing:
    """The writes and events of one client that are not answered yet."""

    __slots__ = ("_behind", "_closed", "_limit", "_now", "_tasks", "_under_way", "_writes")

    def __init__(self, writes: ClientWrites, limit: int, now: Callable[[], Peer]) -> None:
        """`now` tells who the client is when a write begins, or raises what stands against that."""
        self._writes = writes
        self._now = now
        self._limit = limit
        self._closed = False
        self._under_way = 0
        self._behind: dict[GroupKey, deque[_Asked]] | None = None  # Most clients never need one.
        """By group, what waits for the write before it, which waits for its rule."""
        self._tasks: set[asyncio.Task[None]] | None = None

    def ask(self, wanted: Wanted | WantedEvent, then: Told) -> None:
        """Have something written or sent, and call `then` once it is, or is refused."""
        asked = _Asked(wanted, then)
        if self._under_way >= self._limit:
            error = TooMany(
                f"{self._limit} writes of this client are under way.",
                hint="Try again once they are answered.",
                limit=self._limit,
            )
            then(None, error.at("socket.max_writes", self._limit))
            return
        behind = None if self._behind is None else self._behind.get(wanted.group)
        if behind is not None:
            try:
                self._writes.hold(asked.size)
            except TooMany as error:
                then(None, error)
                return
            self._under_way += 1
            behind.append(asked)
            return
        self._under_way += 1
        begun = self._begin(asked)
        if begun is not None:
            self._behind = self._behind or {}
            self._behind[wanted.group] = deque()
            task = asyncio.get_running_loop().create_task(self._in_order(asked, begun))
            self._tasks = self._tasks or set()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """The client is gone: nobody is told any more."""
        self._closed = True

    def _begin(self, asked: _Asked) -> Begun | None:
        """Begin a write; answers it where others have to wait behind it."""
        try:
            begun = self._writes.begin(self._now(), asked.wanted)
        except Exception as fault:  # One of ours, too, is this write's: those behind it in its group go on.
            begun = refused(fault)
        if not isinstance(begun, Future):
            return begun
        begun.add_done_callback(lambda done: self._ended(asked, done))
        return None

    async def _in_order(self, asked: _Asked, begun: Begun | None) -> None:
        """Carry out a write that waits for its rule, and then what came behind it."""
        group = asked.wanted.group
        behind = (self._behind or {})[group]
        while True:
            if begun is not None:
                done: Future[Item | None] = asyncio.ensure_future(begun)
                await asyncio.wait([done])
                self._ended(asked, done)
            if not behind:
                (self._behind or {}).pop(group)
                return
            asked = behind.popleft()
            self._writes.let_go(asked.size)
            begun = self._begin(asked)

    def _ended(self, asked: _Asked, done: Future[Item | None]) -> None:
        self._under_way -= 1
        if done.cancelled():
            return
        fault = done.exception()
        if self._closed:
            return
        if fault is None:
            asked.then(done.result(), None)
            return
        if not isinstance(fault, HeadwaterError):
            log.error("An item of stream %r could not be written", asked.wanted.group.stream, exc_info=fault)
            fault = HeadwaterError("The server failed to write it.", hint="The log tells more.")
        asked.then(None, fault)
