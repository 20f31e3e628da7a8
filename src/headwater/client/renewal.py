"""Asks for another token until the server has taken one. Owns when it is asked; knows neither how, nor the
server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from headwater.client.backoff import Backoff

QUIET_SECONDS = 0.5
"""Whoever is asked again so soon after a success gave a token that is about to end, and is asked ever less
often. Tokens that live for a second are renewed in time."""
GIVE_SECONDS = 10.0
"""How long a token, and the server's word about it, may take."""


class Renewal:
    """One connection's way to another token. `give` returns once the server has taken it, and raises where
    there is none; `failed` hears why."""

    def __init__(
        self,
        give: Callable[[], Awaitable[None]],
        failed: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._give = give
        self._failed = failed
        self._clock = clock
        self._backoff = Backoff()
        self._gave = -QUIET_SECONDS
        self._asking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Ask now, unless that is under way."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())

    def end(self) -> None:
        """Nobody wants one any more."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _ask(self) -> None:
        if self._clock() - self._gave < QUIET_SECONDS:
            await asyncio.sleep(self._backoff.wait())
        else:
            self._backoff.begin_anew()
        while True:
            try:
                async with asyncio.timeout(GIVE_SECONDS):
                    await self._give()
            except Exception as fault:  # Of the token's function, too.
                self._failed(str(fault) or type(fault).__name__)
                await asyncio.sleep(self._backoff.wait())
            else:
                self._gave = self._clock()
                return
