"""A WebSocket client that can break every rule: it writes the bytes it is told to and reads frames as they
come."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The example key of RFC 6455 section 1.3, whose answer is known."""
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

SECONDS = 60.0
"""How long anything may take before a test gives up."""


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    size: int | None = None,
    width: int | None = None,
) -> bytes:
    """A client's frame. `size` claims another length, `width` (0, 2 or 8 bytes) another form of it."""
    size = len(payload) if size is None else size
    width = (0 if size < 126 else 2 if size < 1 << 16 else 8) if width is None else width
    short = size if width == 0 else 126 if width == 2 else 127
    head = bytes([fin << 7 | reserved << 4 | opcode, masked << 7 | short])
    head += size.to_bytes(width, "big") if width else b""
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def text(message: str | bytes, *, fin: bool = True) -> bytes:
    """A text frame."""
    return frame(TEXT, message.encode() if isinstance(message, str) else message, fin=fin)


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


class Frame(NamedTuple):
    """A frame that came from the server."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int | None:
        """The code of a close frame."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else None

    def json(self) -> Any:
        return orjson.loads(self.payload)


def handshake(
    port: int, path: str = "/", headers: dict[str, str | None] | None = None, start: str | None = None
) -> bytes:
    """A handshake request; a header of None is left out."""
    lines: dict[str, str | None] = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    written = [f"{name}: {value}" for name, value in lines.items() if value is not None]
    return "\r\n".join([start or f"GET {path} HTTP/1.1", *written, "", ""]).encode("latin-1")


class Head(NamedTuple):
    """The head of the server's answer."""

    status: int
    headers: dict[str, str]


class RawSocket:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.reader = reader
        self.writer = writer
        self.port = port

    @classmethod
    async def connect(cls, port: int) -> RawSocket:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        return cls(reader, writer, port)

    @classmethod
    async def open(
        cls, port: int, path: str = "/", headers: dict[str, str | None] | None = None
    ) -> RawSocket:
        """Connect and shake hands."""
        socket = await cls.connect(port)
        head = await socket.shake(path, headers)
        assert head.status == 101, head
        return socket

    async def shake(
        self,
        path: str = "/",
        headers: dict[str, str | None] | None = None,
        *,
        start: str | None = None,
        behind: bytes = b"",
    ) -> Head:
        """Send a handshake, with bytes right behind it, and read the answer's head."""
        self.send(handshake(self.port, path, headers, start) + behind)
        return await self.head()

    async def head(self) -> Head:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), SECONDS)
        first, *lines = raw.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        return Head(int(first.split()[1]), {name.lower(): value for name, value in headers.items()})

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def join(
        self, group: str = "room", item: str | None = None, stream: str = "chat", sub: str = "s"
    ) -> None:
        """Join as the published client does."""
        data = {"streamName": stream, "groupId": group, "id": item, "subscriptionId": sub}
        self.send(text(orjson.dumps({"type": "join", "data": data})))

    async def frame(self, seconds: float = SECONDS) -> Frame | None:
        """The next frame; None at the end of the connection."""
        try:
            return await asyncio.wait_for(self._frame(), seconds)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _frame(self) -> Frame:
        first, size = await self.reader.readexactly(2)
        assert first & 0x80, "the server sent a fragment"
        assert not first & 0x70, "the server set a reserved bit"
        assert not size & 0x80, "the server sent a masked frame"
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return Frame(first & 0x0F, await self.reader.readexactly(size))

    async def message(self) -> Any:
        """The next text message, decoded."""
        received = await self.frame()
        assert received is not None, "the connection has ended"
        assert received.opcode == TEXT, received
        return received.json()

    async def kind(self) -> str:
        """The event type of the next v0 message."""
        return (await self.message())["event"]["type"]

    async def closed(self) -> int | None:
        """Read to the end and answer the close code; None where the connection ended without one."""
        code: int | None = None
        while (received := await self.frame()) is not None:
            assert code is None, "a frame came behind the close frame"
            code = received.code if received.opcode == CLOSE else None
        return code

    def deafen(self) -> None:
        """Read nothing any more, as a client that hangs."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def listen(self) -> None:
        """Read again."""
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def end(self) -> None:
        """Hang up, whatever is still unsent."""
        self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()
