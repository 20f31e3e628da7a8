"""A storm of clients: a server restarts, and everyone who was there comes back in the same moment with the
cursor it had, some changes having happened meanwhile. Beside it: the same clients, from scratch."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import uvloop

from benchmarks.measure.dialect import V1
from benchmarks.measure.frames import client_frame, next_frame, opening
from benchmarks.measure.place import SOURCES, sockets
from benchmarks.measure.report import Result, Row, Target
from benchmarks.measure.site import Site, site
from benchmarks.measure.subscribers import ClientFailed

NAME = "reconnect"
TITLE = "Everyone comes back at once after a restart, to 50 groups of 200 items"
COUNT = 5000
GROUPS = 50
ITEMS = 200
CHANGED = 10
"""Items of each group that changed while the clients were away."""
TEXT = "a line of a conversation, neither long nor short, such as people write " * 3
MARK = b'"word":'
"""Once in each item."""
WRITERS = 16
BATCH = 50
"""Writes in one request, one after the other."""
TIMEOUT_SECONDS = 60.0
PING, PONG, TEXT_FRAME = 9, 10, 1
_OPENING = opening(V1.subprotocol)

Cursor = tuple[str, int]


class Returning(asyncio.Protocol):
    """A client as cheap as can be: it looks at the few messages that say where it stands, and only
    counts items."""

    def __init__(self, group: str, cursor: Cursor | None) -> None:
        self.cursor = cursor
        self.resets = 0
        self.items = 0
        self.bytes = 0
        self.live_at = 0.0
        self.live: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._subscribe = _subscribe(group, cursor)
        self._data = bytearray()
        self._open = False
        self._epoch = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is one in all but name.
        self._transport.write(_OPENING)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._open:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._data.startswith(b"HTTP/1.1 101"):
                self._fail(f"refused: {bytes(self._data[:100])!r}")
                return
            del self._data[: end + 4]
            self._open = True
            self._write(self._subscribe)
        start = 0
        while frame := next_frame(self._data, start):
            opcode, begin, end = frame
            self._take(opcode, begin, end)
            self.bytes += end - start
            start = end
        del self._data[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost: {exc}")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, opcode: int, begin: int, end: int) -> None:
        if opcode == PING:
            self._write(client_frame(bytes(self._data[begin:end]), PONG))
        if opcode != TEXT_FRAME:
            return
        if self._data.startswith(b'{"t":"page"', begin):
            self.items += self._data.count(MARK, begin, end)
        elif self._data.startswith(b'{"t":"subscribed"', begin):
            self._epoch = _after(self._data[begin:end], b'"epoch":"').partition(b'"')[0].decode()
        elif self._data.startswith(b'{"t":"reset"', begin):
            self.resets += 1
        elif self._data.startswith(b'{"t":"error"', begin):
            self._fail(f"the server said {bytes(self._data[begin:end])!r}")
        elif self._data.startswith(b'{"t":"complete"', begin) and not self.live.done():
            version = int(_after(self._data[begin:end], b'"v":').partition(b"}")[0])
            self.cursor = (self._epoch, version)
            self.live_at = time.monotonic()
            self.live.set_result(None)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _fail(self, why: str) -> None:
        if not self.live.done():
            self.live.set_exception(ClientFailed(why))


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    count = sockets(1000 if quick else COUNT)
    with site("reconnect") as server:
        _write(server, ITEMS, "first")
        scratch, cursors = _storm("from scratch", server, [None] * count, ITEMS)
        _write(server, CHANGED, "meanwhile")
        back, _ = _storm("with cursors", server, cursors, CHANGED)
    rows = [scratch, back]
    share = float(back["MB received"]) / float(scratch["MB received"])
    return Result(
        NAME,
        TITLE,
        rows,
        [Target("bytes with cursors, of those from scratch", share, "at most", 0.2)],
        [
            f"{CHANGED} items of each group changed meanwhile; the server restarts before each "
            "storm, so nothing is in its memory; all connect at once",
            "seconds are from the first connect until the last client is live; RSS is the server process's",
            "client CPU s near the seconds means that the client, one process on asyncio, was the limit",
        ],
    )  # fmt: skip


def _storm(
    name: str, server: Site, cursors: Sequence[Cursor | None], items: int
) -> tuple[Row, list[Cursor | None]]:
    """Restart, and let all in: what it took, and where they stand then.

    :raises ClientFailed: a client was lost, did not get its `items`, or had to start over.
    """
    server.stop()
    server.start()
    memory, before, own = server.peak(), server.cpu(), time.process_time()
    clients, seconds = uvloop.run(_join(server.port, cursors))
    row: Row = {
        "clients": name,
        "count": len(clients),
        "seconds": seconds[-1],
        "median s": seconds[len(seconds) // 2],
        "MB received": sum(client.bytes for client in clients) / 1e6,
        "server CPU s": server.cpu() - before,
        "client CPU s": time.process_time() - own,
        "RSS before MB": memory / 2**20,
        "peak RSS MB": server.peak() / 2**20,
    }
    if len({(number % GROUPS, client.cursor) for number, client in enumerate(clients)}) != GROUPS:
        raise ClientFailed("clients of one group stand at different versions")
    if wrong := [client.items for client in clients if client.items != items]:
        raise ClientFailed(f"{len(wrong)} clients did not get {items} items; the first got {wrong[0]}")
    if resets := sum(client.resets for client, cursor in zip(clients, cursors, strict=True) if cursor):
        raise ClientFailed(f"{resets} clients were not resumed but started over")
    return row, [client.cursor for client in clients]


async def _join(port: int, cursors: Sequence[Cursor | None]) -> tuple[list[Returning], list[float]]:
    """All at once: the clients, and the seconds after which each was live, sorted."""
    loop = asyncio.get_running_loop()
    clients = [Returning(f"g{number % GROUPS}", cursor) for number, cursor in enumerate(cursors)]
    began = time.monotonic()

    async def join(number: int, client: Returning) -> None:
        source = (f"127.0.0.{number % SOURCES + 1}", 0)
        await loop.create_connection(lambda: client, "127.0.0.1", port, local_addr=source)
        await client.live

    async with asyncio.timeout(TIMEOUT_SECONDS):
        await asyncio.gather(*(join(number, client) for number, client in enumerate(clients)))
    for client in clients:
        client.close()
    return clients, sorted(client.live_at - began for client in clients)


def _write(server: Site, items: int, word: str) -> None:
    """Set the first `items` items of every group."""
    writes: list[dict[str, Any]] = [
        {
            "stream": "room",
            "group": f"g{group}",
            "set": f"item-{item}",
            "data": {"word": word, "number": item, "text": TEXT},
        }
        for group in range(GROUPS)
        for item in range(items)
    ]
    batches = [writes[start : start + BATCH] for start in range(0, len(writes), BATCH)]
    with ThreadPoolExecutor(WRITERS) as writers:
        for fault in writers.map(server.write, batches):
            if fault:
                raise RuntimeError(f"a write was refused: {fault}")


def _after(data: bytes | bytearray, mark: bytes) -> bytes:
    return bytes(data).partition(mark)[2]


def _subscribe(group: str, cursor: Cursor | None) -> bytes:
    """The frame that subscribes to a group, from where the client stands."""
    message = json.loads(V1.join_of(1, group))
    if cursor is not None:
        message["from"] = {"epoch": cursor[0], "v": cursor[1]}
    return client_frame(json.dumps(message).encode())
