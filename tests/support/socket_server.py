"""A real server for sockets: HTTP port, WebSocket protocol, v0 sessions, hub, queue and memory store."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from starlette.types import Receive, Scope, Send

from headwater.clock import Clock
from headwater.config import ServerSettings, SocketSettings
from headwater.errors import UnknownStream
from headwater.peer import Peer
from headwater.protocol.clients.v0 import V0Wire
from headwater.server.listen.serve import HttpServer
from headwater.server.live.gate import YES, Ask, Verdict
from headwater.server.live.opening import SocketOpening
from headwater.server.live.session import Session
from headwater.server.live.session_v0 import V0Session
from headwater.server.live.websocket import WebSocket
from headwater.storage.base import Store
from support.ear import Ear
from support.socket_client import RawSocket
from support.stream_stage import StreamStage
from support.stream_store import HeldStore


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The HTTP side: it answers every request the same."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class OpenGate:
    """Lets everybody into the streams there are."""

    def admit(self, ask: Ask) -> Verdict | Awaitable[Verdict]:
        stream = ask.group.stream
        if stream not in ("chat", "news"):
            raise UnknownStream(f"There is no stream named {stream!r}.", stream=stream)
        return YES


class SocketStage(StreamStage):
    """A StreamStage with a port."""

    def __init__(
        self,
        server: ServerSettings,
        settings: SocketSettings,
        store: HeldStore | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(store, clock=clock)
        self.settings = settings
        self.peers: deque[Peer] = deque(maxlen=10)
        self.clients: list[RawSocket] = []
        self.ear = Ear()
        self.opening = SocketOpening(server, settings, self._session, observer=self.ear)
        self.server = HttpServer(answer, server, cast(Any, self.opening.protocol))
        self.make: Callable[[WebSocket], Session] = self._v0

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def sockets(self) -> list[WebSocket]:
        """The server's side of the open sockets."""
        return list(self.opening.sockets)

    def _session(self, socket: WebSocket, peer: Peer) -> Session:
        self.peers.append(peer)
        return self.make(socket)

    def _v0(self, socket: WebSocket) -> Session:
        assert isinstance(self.wire, V0Wire)
        return V0Session(
            socket, self.wire, lambda _stream: self.hub, OpenGate(), self.settings, observer=self.ear
        )

    async def open(self, path: str = "/", headers: dict[str, str | None] | None = None) -> RawSocket:
        """A client that has shaken hands."""
        client = await RawSocket.open(self.port, path, headers)
        self.clients.append(client)
        return client

    async def joined(self, group: str = "room", item: str | None = None) -> RawSocket:
        """A client that has joined and read its sync."""
        socket = await self.open()
        socket.join(group, item)
        assert await socket.kind() == "sync"
        return socket


@asynccontextmanager
async def socket_stage(
    settings: SocketSettings | None = None,
    server: ServerSettings | None = None,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    port: int = 0,
) -> AsyncGenerator[SocketStage]:
    """A running server, on a free port unless one is given, over memory unless a store is given."""
    settings = settings or SocketSettings(max_frame_bytes=100_000)
    held = None if store is None else HeldStore(store)
    stage = SocketStage(replace(server or ServerSettings(), port=port), settings, held, clock)
    await stage.server.start()
    try:
        yield stage
    finally:
        for client in stage.clients:
            await client.end()
        await stage.server.stop(now=True)
        await stage.close()
