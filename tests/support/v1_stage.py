"""The streams of one process behind sessions of protocol v1, put together as the server does, on hand-made
sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from headwater.clock import Stamps
from headwater.config import Settings, SocketSettings, StorageSettings, StreamSettings
from headwater.errors import RunUnknown
from headwater.model import GroupKey, Item, Origin, Terms
from headwater.observe import SILENT, Observer
from headwater.server.live.client_writes import ClientWrites
from headwater.server.live.gate import Ask, Gate
from headwater.server.live.session import Session
from headwater.server.live.session_v1 import V1Session
from headwater.server.live.v1_streams import V1Streams
from headwater.storage.base import Store
from headwater.storage.memory import MemoryStore
from headwater.streams.catalog import PRESENCE, Catalog, StreamRules
from headwater.streams.presence import Presence
from headwater.streams.realm import Realm, Realms
from headwater.streams.writer import Writer
from support.socket_server import OpenGate
from support.stream_clock import HandClock
from support.stream_store import HeldStore, turns
from support.v1_client import HandSocket, JudgedClient, Recorded

ROOM = GroupKey("chat", "room")


class PresenceGate(OpenGate):
    """Lets everybody into the streams there are, and into those who say who is there."""

    def admit(self, ask: Ask) -> Any:
        return super().admit(
            ask._replace(group=ask.group._replace(stream=ask.group.stream.removesuffix(PRESENCE)))
        )


class HandRuns:
    """The runs that have claimed items: cancelling one takes what stands for it."""

    def __init__(self) -> None:
        self.claimed: set[tuple[GroupKey, str]] = set()
        self.cancelled: list[tuple[GroupKey, str]] = []
        self.held: asyncio.Event | None = None
        """What a cancel waits for."""
        self.fault: Exception | None = None

    async def cancel_item(self, group: GroupKey, item: str) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.fault is not None:
            raise self.fault
        if (group, item) not in self.claimed:
            raise RunUnknown("Nobody has claimed it.", id=item, group=group.group, stream=group.stream)
        self.cancelled.append((group, item))


class V1Stage:
    """All between a write and a client of protocol v1. `chat` has presence."""

    rolled: ClassVar[Mapping[str, float]] = {}

    def __init__(
        self,
        inner: Store | None = None,
        *,
        fleeting: Store | None = None,
        gate: Gate | None = None,
        socket: SocketSettings | None = None,
        streams: StreamSettings | None = None,
        storage: StorageSettings | None = None,
        observer: Observer = SILENT,
    ) -> None:
        self.clock = HandClock()
        self.settings = Settings(
            socket=socket or SocketSettings(),
            streams=streams or StreamSettings(),
            storage=storage or StorageSettings(),
        )
        self.recorded = Recorded(inner or MemoryStore())
        self.store = HeldStore(self.recorded)  # pyright: ignore[reportArgumentType]
        stamps = Stamps(self.clock)
        self.catalog = Catalog()
        self.declare()
        self.observer = observer
        self.durable = Realm(self.catalog, self.store, stamps, self.settings, self.clock, observer)
        self.fleeting = Realm(
            self.catalog, fleeting or MemoryStore(), stamps, self.settings, self.clock, observer
        )
        self.realms = Realms(self.catalog, self.durable, self.fleeting)
        self.streams = V1Streams(self.realms)
        self.runs = HandRuns()
        self.presence = Presence(
            self.catalog, self.fleeting.queue, max_state_bytes=self.settings.socket.max_state_bytes
        )
        self.gate = gate or PresenceGate()
        self.writer = Writer(
            self.catalog, self.store, self.durable.queue, max_item_bytes=10_000_000, clock=self.clock
        )

        self.writes = ClientWrites(
            self.gate,
            self.catalog,
            self.writer,
            self.store.epoch,
            max_bytes=self.settings.streams.max_judged_bytes,
        )

    def declare(self, **chat: Any) -> None:
        """Declare `chat`, with presence and with these rules, and `news`."""
        rules = {"rollup": self.rolled.get("chat", 0.0), **chat}
        news = StreamRules(name="news", rollup=self.rolled.get("news", 0.0))
        self.catalog.declare([StreamRules(name="chat", presence=True, **rules), news])

    def open(self, socket: HandSocket) -> Session:
        """The session of a new socket."""
        return V1Session(
            socket,
            self.streams,
            self.presence,
            self.gate,
            self.settings.socket,
            observer=self.observer,
            writes=self.writes,
        )

    def connect(self, high_water: int = 1_000_000) -> JudgedClient:
        """A client that is connected."""
        client = JudgedClient(self, high_water)
        client.connect()
        return client

    async def set(
        self, item: str, group: GroupKey = ROOM, *, terms: Terms | None = None, **members: Any
    ) -> Item:
        """Write an item and wait for the commit and the flush."""
        data = orjson.dumps({"g": list(group), **members})
        written = await self.writer.set(*group, item, data, terms=terms or Terms(), origin=Origin())
        await turns()
        return written

    async def delete(self, item: str, group: GroupKey = ROOM) -> Item | None:
        """Delete an item and wait for the commit and the flush."""
        gone = await self.writer.delete(*group, item, origin=Origin())
        await turns()
        return gone

    async def exchange(self, *clients: JudgedClient) -> None:
        """Let the clients and the server say all that they have to say."""
        for _ in range(10):
            await self.commit_presences()
            await turns()
            for client in clients:
                client.read()

    async def commit_presences(self) -> None:
        """Wait until whoever has come or gone is committed, in whatever store that is."""
        while self.fleeting.queue.pending_bytes:
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End it as the server does."""
        await self.store.release()
        await self.realms.close()
        await self.store.close()
        await self.fleeting.store.close()
