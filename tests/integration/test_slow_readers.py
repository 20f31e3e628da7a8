"""Who does not read costs the server little and the others nothing, and ends with the same state."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from headwater.client.store import ClientStore
from support.scenario_server import Server
from support.socket_client import text

CLIENTS, STALLED = 500, 50
QUIET_ROUNDS, ROUNDS, WRITES = 10, 50, 6
SECONDS = 500.0
"""Half a minute's work of one core, which many may share."""
BOUND = 150 * 2**20
"""Bytes by which the server may grow: fifty high-water marks, the load itself, and room for an allocator."""


class RawClient(asyncio.Protocol):
    """A client of protocol v1 without a library, so that five hundred are cheap."""

    def __init__(self) -> None:
        self.store = ClientStore()
        self.one = self.store.subscribe("room", "g")
        self.transport: Any = None
        self.upgraded = False
        self.buffer = b""
        self.received = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: headwater.v1\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.received += len(data)
        if not self.upgraded:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head
            self.upgraded, self.buffer = True, rest
            self.store.connected()
            for message in self.store.outbox:
                self.transport.write(text(message))
            self.store.outbox.clear()
        self._frames()

    def _frames(self) -> None:
        at, data = 0, self.buffer
        while len(data) - at >= 2:
            size, begin = data[at + 1], at + 2
            if size > 125:
                width = 2 if size == 126 else 8
                size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
            if len(data) < begin + size:
                break
            if data[at] == 0x81:
                self.store.received(data[begin : begin + size])
            at = begin + size
        self.buffer = data[at:]

    def holds(self, version: int) -> bool:
        return self.one.state.live and self.one.state.version >= version


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Server]:
    server = Server(tmp_path / "project")
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def all_hold(clients: Sequence[RawClient], version: int) -> Callable[[], bool]:
    return lambda: all(client.holds(version) for client in clients)


@pytest.fixture
def clients() -> Generator[list[RawClient]]:
    clients: list[RawClient] = []
    yield clients
    for client in clients:
        client.transport.abort()


@pytest.mark.may_take(600)
async def test_fifty_of_five_hundred_stall_under_load(
    server: Server, clients: list[RawClient], capsys: pytest.CaptureFixture[str]
) -> None:
    process = server.process
    assert process is not None
    loop = asyncio.get_running_loop()
    port = int(server.url.rpartition(":")[2])
    for _ in range(CLIENTS):
        _, client = await loop.create_connection(RawClient, "127.0.0.1", port)
        clients.append(client)
    await until(lambda: all(client.one.state.live for client in clients))
    before = peak = psutil.Process(process.pid).memory_info().rss
    stalled, others = clients[:STALLED], clients[STALLED:]
    written, delays = 0, list[float]()

    async with httpx.AsyncClient(timeout=SECONDS) as http:
        for number in range(QUIET_ROUNDS + ROUNDS):
            if number == QUIET_ROUNDS:
                for client in stalled:
                    raw = client.transport.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
                    client.transport.pause_reading()
            data = {"n": number, "text": f"{number}" + "x" * 20_000}
            where = {"stream": "room", "group": "g"}
            writes = [{**where, "set": str(item), "data": data} for item in range(WRITES)]
            began = time.monotonic()
            answer = await http.post(f"{server.url}/write", json={"writes": writes})
            assert answer.status_code == 204
            written += WRITES
            await until(all_hold(others, written))
            delays.append(time.monotonic() - began)
            peak = max(peak, psutil.Process(process.pid).memory_info().rss)
        assert not any(client.holds(written) for client in stalled)
        for client in stalled:
            client.transport.resume_reading()
        await until(all_hold(stalled, written))
        stored = (await http.get(f"{server.url}/streams/room/g")).json()["items"]

    assert all(client.one.state.items() == stored for client in clients)
    sent = others[0].received
    assert sum(client.received for client in stalled) < STALLED * sent
    assert peak - before < BOUND
    with capsys.disabled():
        most = f"{before / 2**20:.0f} MiB before, {peak / 2**20:.0f} MiB at most"
        parts = delays[:QUIET_ROUNDS], delays[QUIET_ROUNDS:]
        without, beside = (statistics.median(part) * 1000 for part in parts)
        print(f"\nslow readers: the server held {most}; {sent:,} bytes went to each of the others, which had")
        print(f"{WRITES} writes {without:.0f} ms after the request (median), {beside:.0f} beside slow ones")
