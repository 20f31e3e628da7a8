"""Listens for connections that speak TLS: each is counted as any other from before its handshake on.

Owns the time between a connection and the end of its handshake. A loop's own server would do the handshake
before anybody hears of the connection: whoever never ends one would be counted by nobody, and whoever may not
come in would have cost a handshake.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from contextlib import suppress
from typing import Any

from uvicorn.server import ServerState

from headwater.server.listen.addresses import Entry
from headwater.server.listen.counted import receive
from headwater.server.listen.http_socket import HttpConfig, HttpSocket

log = logging.getLogger("headwater.server")

AT_ONCE = 100
"""Connections that are accepted in one turn of the loop."""

PAUSE_SECONDS = 1.0
"""How long nothing is accepted when the system has no more files or memory for it."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class TlsListener:
    """One listening socket. It is closed as a server of the loop is."""

    def __init__(
        self,
        bound: socket.socket,
        tls: ssl.SSLContext,
        config: HttpConfig,
        state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._bound = bound
        self._tls = tls
        self._config = config
        self._state = state
        self._app_state = app_state
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(bound, self._accept)

    def close(self) -> None:
        """Accept no more, and let those go that have not ended their handshake."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._bound)
        self._bound.close()
        for shaking in self._config.shaking:
            shaking.cancel()

    async def wait_closed(self) -> None:
        """Wait until none is in its handshake."""
        if self._config.shaking:
            await asyncio.wait(set(self._config.shaking))

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, address = self._bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                log.warning("No connection can be accepted for %g s: %s", PAUSE_SECONDS, error.strerror)
                self._loop.remove_reader(self._bound)
                self._pause = self._loop.call_later(
                    PAUSE_SECONDS, self._loop.add_reader, self._bound, self._accept
                )
                return
            entry = receive(self._config, self._state, address[0], uncounted=1)
            if entry.cut:
                accepted.close()
                continue
            shaking = self._loop.create_task(self._shake(accepted, entry))
            self._config.shaking.add(shaking)
            shaking.add_done_callback(self._config.shaking.discard)

    async def _shake(self, accepted: socket.socket, entry: Entry) -> None:
        """Shake hands; a connection that does goes on by itself. What stands against it is its client's."""
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        http = HttpSocket(self._config, self._state, self._app_state)
        http.entry, http.place = entry, entry.place
        try:
            with suppress(OSError, ssl.SSLError):
                await self._loop.connect_accepted_socket(
                    lambda: http,
                    accepted,
                    ssl=self._tls,
                    ssl_handshake_timeout=self._config.limits.read_timeout,
                )
        finally:
            if not http.is_connected:
                http.leave_place()
