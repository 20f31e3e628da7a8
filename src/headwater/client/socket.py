"""One WebSocket to a server: its address, how a token travels in it, and whether anybody is still there.

Knows the handshake of protocol v1 alone; what messages mean is the store's business, and trying again the
client's.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection
from websockets.exceptions import InvalidHandshake
from websockets.typing import Subprotocol

from headwater.errors import InvalidInput
from headwater.peer import TOKEN_PREFIX
from headwater.protocol.clients.v1 import SUBPROTOCOL

OPEN_SECONDS = 10.0
"""How long a server may take to answer the handshake."""
CLOSE_SECONDS = 2.0
"""How long a server may take to answer a close."""

_PLAIN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""What may stand in a subprotocol's name; a token with other signs goes into the address."""
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class Silent(Exception):
    """The server has given no sign of life for too long."""


class Socket(ClientConnection):
    """A connection that knows when it last heard of the server. Bytes amid a message count: a page may take
    minutes on a slow line, and a pong waits behind it."""

    heard = 0.0
    """The loop's time of the last bytes."""

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        self.heard = self.loop.time()
        super().data_received(data)

    async def watch(self, heartbeat: float) -> None:
        """Ask for a sign of life after each `heartbeat` seconds of silence.

        :raises Silent: nothing came for as long again.
        """
        while True:
            quiet = self.loop.time() - self.heard
            if quiet < heartbeat:
                await asyncio.sleep(heartbeat - quiet)
                continue
            asked = self.heard
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(heartbeat):
                    await (await self.ping())
            await asyncio.sleep(0)  # A loop that was held up has yet to read what came meanwhile.
            if self.heard == asked:
                raise Silent("the server has gone silent")


def socket_url(url: str) -> str:
    """The address of the server's sockets.

    :raises InvalidInput: it is no address of a server.
    """
    try:
        parts = urlsplit(url)
        scheme, host, _ = _SCHEMES.get(parts.scheme), parts.hostname, parts.port
    except ValueError:
        scheme = host = parts = None
    if parts is None or scheme is None or not host:
        raise InvalidInput(
            f"{url!r} is no address of a server.", hint="Like http://127.0.0.1:3000, or https, ws, wss."
        )
    return urlunsplit((scheme, parts.netloc, parts.path or "/", parts.query, ""))


@contextlib.asynccontextmanager
async def open_socket(url: str, token: str | None) -> AsyncGenerator[Socket]:
    """A socket that speaks protocol v1 with the server at a `socket_url`.

    :raises OSError, TimeoutError, InvalidHandshake: there is none.
    """
    offers = [Subprotocol(SUBPROTOCOL)]
    if token and _PLAIN.fullmatch(token):
        offers.append(Subprotocol(TOKEN_PREFIX + token))
    elif token:
        url += f"{'&' if urlsplit(url).query else '?'}authToken={quote(token, safe='')}"
    async with open_connection(
        url,
        subprotocols=offers,
        max_size=None,
        open_timeout=OPEN_SECONDS,
        close_timeout=CLOSE_SECONDS,
        ping_interval=None,
        create_connection=Socket,
    ) as connection:
        if connection.subprotocol != SUBPROTOCOL:
            raise InvalidHandshake(f"the server does not speak {SUBPROTOCOL}")
        socket = cast(Any, connection)
        socket.heard = socket.loop.time()
        yield socket
