"""What must be written, is: tried again and again until the store works. Owns the waits between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headwater.errors import QueueFull, StoreUnavailable, TooMany

log = logging.getLogger("headwater.work")

Result = TypeVar("Result")

FIRST_WAIT = 1.0
"""How long after a failed write it is tried again; doubled each time up to MOST_WAIT. Seconds."""
MOST_WAIT = 30.0


class Insistence:
    """Call it with a read or write of the store. Once `ended`, what fails is left."""

    def __init__(self) -> None:
        self.ended = False

    async def __call__(self, write: Callable[[], Awaitable[Result]]) -> Result:
        """Do it until it is done.

        :raises StoreUnavailable: (or QueueFull, TooMany) it failed after the end.
        """
        wait = FIRST_WAIT
        while True:
            try:
                return await write()
            except (StoreUnavailable, QueueFull, TooMany) as error:
                if self.ended:
                    raise
                log.warning("What became of a job is not kept yet, and is tried again: %s", error.message)
                await asyncio.sleep(wait)
                wait = min(wait * 2, MOST_WAIT)
