"""Whole groups on their way to subscriptions whose wire cannot resume: gathered in memory, sent as one frame,
and held by sockets until their clients have read it. Owns how many bytes that may be over all of them. No
I/O.

- Who joins while the same frame is still held for another, or was built a moment ago, gets that frame.
- A catch-up begins to gather when less than the limit is held; else it waits for others to end or be read.
- Of those that gather past the limit, all give up what they have, and begin anew when there is room, but for
  the one that began first, if nothing is unread. So the limit is passed by one group, not by as many as
  gather, and a group that is larger than the limit still comes to its end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from headwater.streams.fanout.subscription import Subscription

if TYPE_CHECKING:
    from headwater.streams.fanout.lane import Lane

SHARED_SECONDS = 1.0
"""How long a frame is kept for who joins next, beyond what sockets hold of it: those who come back after a
restart come together."""


class Whole:
    """A whole group as of one version, as a frame."""

    __slots__ = ("frame", "holders", "lane", "version")

    def __init__(self, frame: bytes, lane: Lane) -> None:
        self.frame = frame
        self.lane = lane
        self.version = lane.sent
        self.holders = 0


class Snapshots:
    """All whole groups that are gathered or unread."""

    def __init__(self, limit_bytes: int, on_full: Callable[[], None] = lambda: None) -> None:
        """`on_full` is called whenever one has to wait, or to give up what it has."""
        self.used = 0
        """Bytes."""
        self.limit = limit_bytes
        self._on_full = on_full
        self._gathering: dict[Subscription, int] = {}
        """Bytes that each has; the first came first."""
        self._unread: dict[Subscription, Whole] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def begin(self, subscription: Subscription) -> None:
        """Wait until a subscription may gather its group. `end` must follow."""
        if self.used >= self.limit:
            self._on_full()
        while self.used >= self.limit:
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(room)
            await room
        self._gathering[subscription] = 0

    def grow(self, subscription: Subscription, size: int) -> bool:
        """It has gathered so many bytes more. False: it must give them up, and begin again."""
        self.used += size
        self._gathering[subscription] += size
        is_first = next(iter(self._gathering)) is subscription
        if self.used <= self.limit or (is_first and not self._unread):
            return True
        self._on_full()
        self.end(subscription)
        return False

    def end(self, subscription: Subscription) -> None:
        """It gathers no more, for whatever reason."""
        self._free(self._gathering.pop(subscription, 0))

    def sent(self, subscription: Subscription, frame: bytes, lane: Lane) -> None:
        """Its frame was given to its subscriber, which may hold it for a while."""
        if subscription.wish.item is None:
            whole = lane.whole = Whole(frame, lane)
            self._hold(whole)
            asyncio.get_running_loop().call_later(SHARED_SECONDS, self._let_go, whole)
        else:
            whole = Whole(frame, lane)
        self.shared(subscription, whole)

    def shared(self, subscription: Subscription, whole: Whole) -> None:
        """It was given a frame that others were given too."""
        if subscription.subscriber.is_full:
            self.read(subscription)
            self._unread[subscription] = whole
            self._hold(whole)

    def read(self, subscription: Subscription) -> None:
        """Its subscriber has sent what it held, or is gone."""
        whole = self._unread.pop(subscription, None)
        if whole is not None:
            self._let_go(whole)

    def _hold(self, whole: Whole) -> None:
        if not whole.holders:
            self.used += len(whole.frame)
        whole.holders += 1

    def _let_go(self, whole: Whole) -> None:
        whole.holders -= 1
        if not whole.holders:
            if whole.lane.whole is whole:
                whole.lane.whole = None
            self._free(len(whole.frame))

    def _free(self, size: int) -> None:
        self.used -= size
        self._wake()

    def _wake(self) -> None:
        """Let the next one look; its own end wakes the one after it."""
        while self._waiting and self.used < self.limit:
            room = self._waiting.popleft()
            if not room.done():
                room.set_result(None)
                return
