"""The timers of one connection that look at what its client does not do: ask, or read its answer.

Each owns one timer and says when to end the connection; how that is done is the connection's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class IdleWatch:
    """Tells when no request came for `patience` seconds.

    Its timer outlives the requests that come meanwhile, and looks then how long it has still to wait: one
    for each request would cost more than all the rest of a connection.
    """

    __slots__ = ("_loop", "_patience", "_since", "_tell", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float, tell: Callable[[], None]) -> None:
        self._loop = loop
        self._patience = patience
        self._tell = tell
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """All is answered: the next request is waited for."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._patience, self._check)

    def interrupt(self) -> None:
        """Something came."""
        self._since = None

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._since is None:
            return  # The answer to what came begins anew.
        left = self._since + self._patience - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
        else:
            self._tell()


class WriteWatch:
    """Tells when a client has read nothing of its answer for `patience` seconds.

    It looks while the client does not keep up, and while what is left of a connection that closes is sent.
    """

    __slots__ = ("_is_behind", "_loop", "_patience", "_tell", "_timer", "_transport", "_unsent")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        patience: float,
        tell: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._patience = patience
        self._tell = tell
        self._is_behind = False
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    def fall_behind(self) -> None:
        """The client does not keep up."""
        self._is_behind = True
        self.begin()

    def catch_up(self) -> None:
        """The client has caught up."""
        self._is_behind = False
        if not self._transport.is_closing():
            self.end()

    def begin(self) -> None:
        """Look from now on, if that is not done already."""
        if self._timer is None:
            self._unsent = self._transport.get_write_buffer_size()
            self._timer = self._loop.call_later(self._patience, self._check)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if 0 < self._unsent <= self._transport.get_write_buffer_size():
            self._tell()
        elif self._is_behind or self._transport.is_closing():
            self.begin()
