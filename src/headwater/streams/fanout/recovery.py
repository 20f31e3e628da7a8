"""Who is behind on the way back to live: runs the catch-ups of subscriptions, and the reads that bring a
whole feed forward. Owns how many run at once, and when what failed is tried again. Knows no socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from headwater.errors import HeadwaterError
from headwater.storage.base import Store
from headwater.streams.fanout.catchup import catch_up, report
from headwater.streams.fanout.feed import Feed
from headwater.streams.fanout.pages import PageReader
from headwater.streams.fanout.slots import Slots
from headwater.streams.fanout.subscription import Lag, Subscription

log = logging.getLogger("headwater.streams")

RETRY_SECONDS = 1.0
"""How long a failed catch-up waits before the next try; doubled each time up to MAX_RETRY_SECONDS."""
MAX_RETRY_SECONDS = 30.0


class Recovery:
    """All catch-ups of a hub."""

    def __init__(
        self, store: Store, mended: Callable[[Feed], None], *, page_bytes: int, max_window: int
    ) -> None:
        """`mended` is told of a feed that has gathered something to be flushed."""
        self.max_window = max_window
        """Most items that a window grows by at once."""
        self._reader = PageReader(store, page_bytes)
        self._mended = mended
        self._mending: set[Feed] = set()
        self._slots = Slots()
        self._tasks: set[asyncio.Task[None]] = set()

    def catch_up(self, subscription: Subscription) -> None:
        """Let a subscription that waits catch up, now or when others of its subscriber have. Nothing is sent
        before the next turn of the loop."""
        if self._slots.take(subscription):
            self._start(subscription)

    def forget(self, subscription: Subscription) -> None:
        """A subscription has ended."""
        self._slots.forget(subscription)

    def mend(self, feed: Feed) -> None:
        """Bring a feed forward that lags behind the store."""
        if feed not in self._mending:
            self._mending.add(feed)
            self._spawn(self._mend(feed))

    async def close(self) -> None:
        """Stop all catch-ups."""
        self._slots.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, subscription: Subscription) -> None:
        self._spawn(self._run(subscription))

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _mend(self, feed: Feed) -> None:
        """Read page after page until nothing is missing; most often it is one."""
        failures = 0
        try:
            while feed.lags and feed.head is not None:
                try:
                    page = await self._reader.read(feed, feed.head, None)
                except HeadwaterError as error:
                    log.warning("What %s lacks could not be read: %s", feed.group, error.message)
                    await asyncio.sleep(_delay(failures))
                    failures += 1
                else:
                    feed.mend(page)
                    self._mended(feed)
        except Exception:
            log.exception("Bringing %s forward broke", feed.group)
            feed.begin_anew()
        finally:
            self._mending.discard(feed)

    async def _run(self, subscription: Subscription) -> None:
        try:
            if subscription.state == "waiting" and subscription.lag is not None:
                subscription.move("start")
                await self._run_for(subscription, subscription.lag)
        finally:
            following = self._slots.pass_on(subscription)
            if following is not None:
                self._start(following)

    async def _run_for(self, subscription: Subscription, lag: Lag) -> None:
        try:
            await catch_up(subscription, lag, self._reader)
        except HeadwaterError as error:
            report(subscription, error)
            self._retry_later(subscription, lag)
        except Exception:
            log.exception("A catch-up of %s broke", subscription.wish.group)
            self._retry_later(subscription, lag)
        else:
            lag.failures = 0
        if subscription.state == "catching up":
            subscription.move("stop")
        elif subscription.live and lag.older:
            subscription.more(lag.older)  # Asked for while this catch-up was past that point.

    def _retry_later(self, subscription: Subscription, lag: Lag) -> None:
        asyncio.get_running_loop().call_later(_delay(lag.failures), subscription.resume)
        lag.failures += 1


def _delay(failures: int) -> float:
    return min(RETRY_SECONDS * 2**failures, MAX_RETRY_SECONDS)
