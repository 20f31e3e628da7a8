"""What one client asked to be stopped, and how it is told of it.

Owns the questions under way, of which there may be only so many. What has been asked is carried out also for
a client that leaves; it is then told nothing. Knows no wire, and of runs only how they are stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from headwater.errors import HeadwaterError, RunUnknown, TooMany
from headwater.model import GroupKey
from headwater.server.live.gate import Then

log = logging.getLogger("headwater.socket")

CancelItem = Callable[[GroupKey, str], Awaitable[None]]
"""Stops the run that has claimed an item; raises RunUnknown where none has, and StoreUnavailable."""


async def nothing_runs(group: GroupKey, item: str) -> None:
    """A CancelItem where no run is.

    :raises RunUnknown: always.
    """
    raise RunUnknown("Nothing runs here.", group=group.group, id=item, stream=group.stream)


class Cancels:
    """The cancels of one client that are not answered yet."""

    __slots__ = ("_cancel", "_closed", "_limit", "_tasks")

    def __init__(self, cancel: CancelItem, limit: int) -> None:
        self._cancel = cancel
        self._limit = limit
        self._closed = False
        self._tasks: set[asyncio.Task[None]] | None = None  # Most clients never need one.

    def ask(self, group: GroupKey, item: str, then: Then) -> None:
        """Stop the run that has claimed an item, and call `then` with None or with what stands against it."""
        if len(self._tasks or ()) >= self._limit:
            hint = "Try again once they are answered."
            error = TooMany(
                f"{self._limit} cancels of this client are under way.", hint=hint, limit=self._limit
            )
            then(error.at("socket.max_subscriptions", self._limit))
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(group, item, then))
        self._tasks = self._tasks or set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """The client is gone: nobody is told any more."""
        self._closed = True

    async def _carry_out(self, group: GroupKey, item: str, then: Then) -> None:
        refusal: HeadwaterError | None = None
        try:
            await self._cancel(group, item)
        except HeadwaterError as error:
            refusal = error
        except Exception:
            log.exception("An item of stream %r could not be cancelled", group.stream)
            refusal = HeadwaterError("The server failed to cancel it.", hint="The log tells more.")
        if not self._closed:
            then(refusal)
