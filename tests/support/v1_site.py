"""A real server of streams on a free port: plain HTTP, server-sent events, sockets of protocol v1."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple, cast

import orjson

from headwater.config import Settings
from headwater.peer import Peer
from headwater.server.http.app import build_http_app
from headwater.server.listen.serve import HttpServer
from headwater.server.live.gate import Gate
from headwater.server.live.opening import SocketOpening
from headwater.server.live.session_v1 import V1Session
from headwater.server.live.sse import EventStreams
from headwater.server.live.stream_http import StreamHttp
from headwater.server.live.websocket import WebSocket
from headwater.server.live.write_http import WriteHttp
from support.http_site import InProcess
from support.v1_stage import V1Stage

SECONDS = 60.0
"""How long anything may take before a test gives up."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Event(NamedTuple):
    """A server-sent event."""

    id: str | None
    data: dict[str, Any]


class Listening:
    """A response of server-sent events, as a client without a library reads it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: Answer) -> None:
        self.reader, self.writer, self.head = reader, writer, head
        self.ended = False
        self._text = b""

    async def event(self) -> Event:
        """The next event; comments are passed over."""
        async with asyncio.timeout(SECONDS):
            while True:
                block = await self.block()
                fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
                if b"data" in fields:
                    name = fields.get(b"id")
                    return Event(name.decode() if name else None, orjson.loads(fields[b"data"]))

    async def until(self, kind: str) -> list[Event]:
        """The events up to the first of a type."""
        found = [await self.event()]
        while found[-1].data["t"] != kind:
            found.append(await self.event())
        return found

    async def block(self) -> bytes:
        """The next event or comment, or b"" at the end of the response."""
        while b"\n\n" not in self._text:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            chunk = await self.reader.readexactly(size + 2)
            if not size:
                self.ended = True
                return b""
            self._text += chunk[:-2]
        block, _, self._text = self._text.partition(b"\n\n")
        return block

    def pause(self) -> None:
        """Read nothing from the socket."""
        cast(asyncio.ReadTransport, self.writer.transport).pause_reading()

    def go_on(self) -> None:
        cast(asyncio.ReadTransport, self.writer.transport).resume_reading()

    def close(self) -> None:
        self.writer.close()


class V1Site(V1Stage):
    """A V1Stage with a port."""

    def __init__(self, settings: Settings, gate: Gate | None = None) -> None:
        super().__init__(
            gate=gate, socket=settings.socket, streams=settings.streams, storage=settings.storage
        )
        settings = replace(settings, server=replace(settings.server, port=0))
        self.events = EventStreams(self.realms, high_water_bytes=settings.socket.high_water_bytes)
        writing = WriteHttp(self.writes, settings, self.store.epoch)
        pages = StreamHttp(self.realms, self.gate, self.events, settings, self.runs.cancel_item, writing)
        self.executor = InProcess({})
        self.app = build_http_app(settings, self.executor, [(pages.prefix, pages)] if pages.prefix else [])
        self.opening = SocketOpening(
            settings.server,
            settings.socket,
            self._session,
        )
        self.peers: deque[Peer] = deque(maxlen=10)
        """The handshakes of the last sockets."""
        self.server = HttpServer(self.app, settings.server, cast(Any, self.opening.protocol))
        self._writers: list[asyncio.StreamWriter] = []

    def _session(self, socket: WebSocket, peer: Peer) -> V1Session:
        self.peers.append(peer)
        parts = self.streams, self.presence, self.gate, self.settings.socket, peer
        return V1Session(socket, *parts, self.runs.cancel_item)

    async def request(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET", version: str = "1.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Answer]:
        """Send a request as it is and read the answer's head."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=2**24)
        self._writers.append(writer)
        lines = [f"{method} {path} HTTP/{version}", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(SECONDS):
            first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        named = dict(line.split(": ", 1) for line in rest if line)
        return reader, writer, Answer(int(first.split()[1]), {k.lower(): v for k, v in named.items()}, b"")

    async def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        """A whole answer."""
        reader, writer, head = await self.request(path, headers, method)
        size = 0 if method == "HEAD" or head.status == 304 else int(head.headers["content-length"])
        body = await asyncio.wait_for(reader.readexactly(size), SECONDS)
        writer.close()
        return head._replace(body=body)

    async def listen(self, path: str, headers: dict[str, str] | None = None) -> Listening:
        """Open a stream of server-sent events."""
        return Listening(*await self.request(path, {"Accept": "text/event-stream", **(headers or {})}))

    async def end(self) -> None:
        """Stop as the server does, and let go of all clients."""
        self.events.close()
        await self.server.stop()
        for writer in self._writers:
            writer.close()
        await self.close()


@asynccontextmanager
async def v1_site(settings: Settings | None = None, gate: Gate | None = None) -> AsyncGenerator[V1Site]:
    """A running server on a free port."""
    site = V1Site(settings or Settings(), gate)
    await site.server.start()
    try:
        yield site
    finally:
        await site.end()
