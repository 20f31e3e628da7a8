"""Clients of a soak: stores over real sockets that come back as long as it lasts, and judge what they see."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription
from headwater.protocol.clients.v1 import SUBPROTOCOL
from support.stream_v0_client import Place, PublishedClient

PRESENT = ["p0", "p1", "p2"]

Stored = dict[tuple[str, str], list[dict[str, Any]]]
"""The items of each stream and group, as a plain GET tells them."""


class Page:
    """A connection that is opened again whenever it is lost, and can stop reading."""

    protocols: Sequence[Subprotocol] | None = None

    def __init__(self, url: str, counts: Counter[str], faults: list[str]) -> None:
        self.url = url.replace("http", "ws", 1)
        self.counts = counts
        self.faults = faults
        self.reads = asyncio.Event()
        self.reads.set()
        self.socket: ClientConnection | None = None

    async def live(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with contextlib.suppress(OSError, TimeoutError, ConnectionClosed, InvalidHandshake):
                async with open_socket(
                    self.url, subprotocols=self.protocols, max_size=None, ping_interval=None, max_queue=4
                ) as self.socket:
                    self.counts["connections"] += 1
                    await self.begin()
                    async for message in self.socket:
                        self.counts["messages"] += 1
                        self.counts["bytes"] += len(message)
                        await self.take(message)
                        await self.reads.wait()
            self.socket = None
            self.lost()
            await asyncio.sleep(random.random())

    def cut(self) -> None:
        """Drop the connection without a word."""
        if self.socket is not None:
            self.socket.transport.abort()

    async def begin(self) -> None:
        """The connection stands."""

    async def take(self, message: str | bytes) -> None:
        """A message came."""

    def lost(self) -> None:
        """The connection is gone."""

    def differs(self, stored: Stored) -> str:
        """How what it holds differs from the store, or nothing."""
        raise NotImplementedError


class V1Page(Page):
    """A client of protocol v1: whole groups, items and windows."""

    protocols = (Subprotocol(SUBPROTOCOL),)

    def __init__(
        self, url: str, counts: Counter[str], faults: list[str], groups: list[tuple[str, str]]
    ) -> None:
        super().__init__(url, counts, faults)
        self.store = ClientStore(self._told)
        self.newest: dict[Subscription, int] = {}
        self.subscriptions: list[Subscription] = []
        for stream, group in random.sample(groups, random.choice([1, 1, 2, 3])):
            for item, limit in random.choice([[(None, None)], [(None, 10)], [(None, 5), ("3", None)]]):
                self.subscriptions.append(self.store.subscribe(stream, group, item, limit=limit))
        self.present = random.choice([*PRESENT, "", "", ""])
        """The group in which it is present, if any; it follows who else is."""
        if self.present:
            self.store.subscribe("present", self.present, state={"name": f"page {id(self)}"})
            self.subscriptions.append(self.store.subscribe("present.presence", self.present))

    def _told(self, one: Subscription, what: str, value: Any) -> None:
        self.counts[f"v1 {what}"] += 1
        if what == "reset":
            self.newest.pop(one, None)
        elif what == "state":
            if one.state.version < self.newest.get(one, 0):
                self.faults.append(f"{one.stream}/{one.group} went back to {one.state.version}")
            self.newest[one] = one.state.version

    async def begin(self) -> None:
        self.store.connected()
        await self._send()

    async def take(self, message: str | bytes) -> None:
        self.store.received(message)
        await self._send()

    async def _send(self) -> None:
        while self.socket is not None and self.store.outbox:
            await self.socket.send(self.store.outbox.pop(0))

    def lost(self) -> None:
        self.store.disconnected()

    async def grow(self) -> None:
        """Ask for older items of its windows."""
        for one in self.subscriptions:
            if one.limit is not None and self.socket is not None:
                self.store.more(one, 3)
        with contextlib.suppress(ConnectionClosed):
            await self._send()

    def differs(self, stored: Stored) -> str:
        for one in self.subscriptions:
            whole = stored[one.stream, one.group]
            if one.item is not None:
                expected = [item for item in whole if item["id"] == one.item]
            elif one.state.floor:
                expected = whole[max(0, len(whole) - len(one.state.held)) :]
            else:
                expected = whole
            if not one.state.live or one.state.items() != expected:
                return (
                    f"v1 {one.stream}/{one.group}/{one.item or ''} limit {one.limit}, live {one.state.live}"
                )
        return ""


class EventStreamPage(Page):
    """A client of protocol v1 over server-sent events, that comes back with its cursor as browsers do."""

    def __init__(
        self, url: str, counts: Counter[str], faults: list[str], groups: list[tuple[str, str]]
    ) -> None:
        super().__init__(url, counts, faults)
        self.store = ClientStore(self._told)
        stream, group = random.choice(groups)
        self.one = self.store.subscribe(stream, group)
        self.writer: asyncio.StreamWriter | None = None

    def _told(self, one: Subscription, what: str, value: Any) -> None:
        self.counts[f"event stream {what}"] += 1

    async def live(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._listen()
            if self.writer is not None:
                self.writer.close()
            self.store.disconnected()
            await asyncio.sleep(random.random())

    async def _listen(self) -> None:
        host, port = self.url.removeprefix("ws://").split(":")
        reader, self.writer = await asyncio.open_connection(host, int(port), limit=2**24)
        state = self.one.state
        cursor = f"Last-Event-ID: {state.epoch}.{state.version}\r\n" if state.epoch else ""
        self.writer.write(
            f"GET /streams/{self.one.stream}/{self.one.group} HTTP/1.1\r\nHost: {host}\r\n"
            f"Accept: text/event-stream\r\n{cursor}\r\n".encode()
        )
        if b" 200 " not in await reader.readuntil(b"\r\n\r\n"):
            return
        self.counts["event streams opened"] += 1
        self.store.connected()
        text = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            text += (await reader.readexactly(size + 2))[:-2]
            *whole, text = text.split(b"\n\n")
            for block in whole:
                self._take(block)
            await self.reads.wait()

    def _take(self, block: bytes) -> None:
        self.counts["bytes"] += len(block)
        for line in block.split(b"\n"):
            if line.startswith(b"data: "):
                self.counts["event stream messages"] += 1
                message = orjson.loads(line[6:])
                if "sub" in message:
                    message["sub"] = self.one.number
                self.store.received(orjson.dumps(message))

    def cut(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()

    def differs(self, stored: Stored) -> str:
        expected = stored[self.one.stream, self.one.group]
        if self.one.state.live and self.one.state.items() == expected:
            return ""
        return f"event stream {self.one.stream}/{self.one.group}, live {self.one.state.live}"


class V0Page(Page):
    """A published client of protocol v0."""

    def __init__(
        self, url: str, counts: Counter[str], faults: list[str], groups: list[tuple[str, str]]
    ) -> None:
        super().__init__(url, counts, faults)
        self.client = PublishedClient()
        for number, (stream, group) in enumerate(random.sample(groups, 2)):
            self.client.listen(str(number), Place(stream, group, random.choice([None, None, "3"])))

    async def begin(self) -> None:
        assert self.socket is not None
        for join in self.client.joins():
            await self.socket.send(join)

    async def take(self, message: str | bytes) -> None:
        self.counts["v0 messages"] += 1
        try:
            self.client.take(orjson.loads(message))
        except AssertionError as fault:
            self.faults.append(f"v0: {fault!r:.300}")

    def differs(self, stored: Stored) -> str:
        for place, listener in self.client.listeners.values():
            whole = stored[place.stream, place.group]
            if place.item is not None:
                expected: Any = next((item for item in whole if item["id"] == place.item), None)
            else:
                expected = whole
            if not listener.synced or listener.state != expected:
                return f"v0 {place}"
        return ""
