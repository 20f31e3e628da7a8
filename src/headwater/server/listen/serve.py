"""Listens, serves and ends. Owns the sockets and uvicorn; whoever starts it owns the signals and the loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
import ssl
from collections.abc import Generator
from dataclasses import replace
from typing import Any, Self, cast

import uvicorn
from starlette.types import ASGIApp

from headwater.config import ServerSettings
from headwater.errors import CannotListen
from headwater.observe import SILENT, Observer
from headwater.server.held import HeldBytes
from headwater.server.http.authority import local_url
from headwater.server.http.forwarded import Proxies, read_prefix
from headwater.server.http.hosts import Hosts
from headwater.server.listen.addresses import Addresses
from headwater.server.listen.http_socket import HttpConfig, HttpSocket
from headwater.server.listen.open_files import room_for_connections
from headwater.server.listen.tls_listener import TlsListener

logger = logging.getLogger("headwater.server")

BACKLOG = 4096
"""Connections that the system holds until they are accepted; what overflows tries again a second later.
Linux takes no more than `net.core.somaxconn`, 4096 by default, and an empty queue costs nothing."""

LAST_WORDS_SECONDS = 1.0
"""How long requests that were cancelled at shutdown may take to say so."""


def uvicorn_config(
    app: ASGIApp,
    settings: ServerSettings,
    ws_class: type[asyncio.Protocol] | None = None,
    unread: HeldBytes[Any] | None = None,
) -> HttpConfig:
    """How uvicorn serves: in the running loop, with httptools, our limits, and WebSockets by `ws_class`.

    uvicorn's own `limit_concurrency` is not used: it answers in plain text, counts the request that asks, and
    lets WebSockets in. `HttpSocket` counts connections instead; a `ws_class` must enter itself into
    `server_state.connections`, leave it when it is lost, and have a method `shutdown()`.
    """
    config = HttpConfig(
        app,
        http=HttpSocket,
        ws="none" if ws_class is None else ws_class,
        loop="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=math.ceil(settings.keepalive_timeout),
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout),
    )
    config.limits = settings
    config.unread = HeldBytes(settings.unread_bytes) if unread is None else unread
    config.hosts = Hosts(settings)
    config.proxies = Proxies(settings)
    config.addresses = Addresses(settings, config.proxies)
    config.shaking = set()
    config.prefix = read_prefix(settings.root_path) or ""
    return config


class HttpServer:
    """A server in the running loop: `start` it, `stop` it, or use it in `async with`."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        ws_class: type[asyncio.Protocol] | None = None,
        observer: Observer = SILENT,
        tls: ssl.SSLContext | None = None,
        unread: HeldBytes[Any] | None = None,
    ) -> None:
        """`unread` is what all connections hold that is not read, where others hold such bytes, too."""
        self._settings = settings
        self._scheme = "http" if tls is None else "https"
        self._config = uvicorn_config(app, settings, ws_class, unread)
        self._config.observer = observer
        self._server = _Server(self._config)
        self._server.tls = tls
        self._serving: asyncio.Task[None] | None = None
        self.port = settings.port

    @property
    def url(self) -> str:
        """The address that a browser on this machine opens."""
        return local_url(self._settings.host, self.port, self._scheme)

    async def start(self) -> int:
        """Listen, and answer the port that was bound. Raises CannotListen."""
        sockets = await _listen(self._settings.host, self._settings.port)
        self.port = sockets[0].getsockname()[1]
        self._config.limits = _fitting(self._settings)
        self._serving = asyncio.create_task(self._server.serve(sockets))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._serving
        return self.port

    async def stop(self, *, now: bool = False) -> None:
        """Take no more connections, let requests end within `shutdown_timeout`, then cut what is left.

        `now` waits for nothing; it also hurries a `stop` that is under way.
        """
        self._server.should_exit = True
        self._server.force_exit = self._server.force_exit or now
        if self._serving:
            await asyncio.shield(self._serving)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class _Server(uvicorn.Server):
    """uvicorn without signal handlers, that tells when it is ready and leaves nothing behind."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.tls: ssl.SSLContext | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets if self.tls is None else [])
        if self.tls is not None:
            parts = self.tls, cast(HttpConfig, self.config), self.server_state, self.lifespan.state
            self.servers += [cast(asyncio.Server, TlsListener(bound, *parts)) for bound in sockets or ()]
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for task in self.server_state.tasks:
            task.cancel()
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=LAST_WORDS_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _fitting(settings: ServerSettings) -> ServerSettings:
    """The settings, with no more connections than the system allows."""
    wanted = settings.max_connections
    room = room_for_connections(wanted)
    if room < wanted:
        level = logging.WARNING if room < wanted / 2 else logging.DEBUG
        text = "the limit on open files leaves room for %d connections, not for %d (ulimit -n raises it)"
        logger.log(level, text, room, wanted)
    return replace(settings, max_connections=room)


async def _listen(host: str, port: int) -> list[socket.socket]:
    """One listening socket for each address of the host, all on one port."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise CannotListen(
            f'the host "{host}" is not known on this machine',
            hint="use 127.0.0.1, or 0.0.0.0 to open the server to the network",
            host=host,
            port=port,
        ) from None
    sockets: list[socket.socket] = []
    refusals: list[OSError] = []
    for family, address in dict.fromkeys((info[0], info[4]) for info in found):
        try:
            sockets.append(_bound(family, address, port))
        except OSError as error:
            refusals.append(error)
            continue
        port = sockets[0].getsockname()[1]
    fatal = [error for error in refusals if not sockets or error.errno in (errno.EADDRINUSE, errno.EACCES)]
    if fatal:
        for bound in sockets:
            bound.close()
        raise _cannot_listen(host, port, fatal[0])
    return sockets


def _bound(family: int, address: tuple[Any, ...], port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address[0], port, *address[2:]))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    what, hint = {
        errno.EADDRINUSE: (
            f"port {port} is in use by another program",
            f"end that program (`lsof -i :{port}` names it), or choose another port with --port or "
            "port in [server] of headwater.toml",
        ),
        errno.EACCES: (f"port {port} needs rights that this user does not have", "choose a port above 1023"),
        errno.EADDRNOTAVAIL: (
            f'this machine does not have the address "{host}"',
            "use 127.0.0.1, or 0.0.0.0 to open the server to the network",
        ),
    }.get(error.errno or 0, (f"cannot listen on {host}:{port}: {error.strerror}", ""))
    return CannotListen(what, hint=hint, host=host, port=port)
