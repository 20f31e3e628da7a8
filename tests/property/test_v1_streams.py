"""Whatever happens, a client of protocol v1 ends with the store's state, in order, once.

Any schedule of writes, deletes, updates, expiry, joins, leaves, presences, growing windows, lost connections,
slow and silent clients, lost notices, swept deletes, rolled-up and trimmed streams, restarts and lost stores,
over a store whose commits and reads take effect and answer in any order that a busy machine allows, beside
pages of protocol v0. The clients are the reference store; each judges every frame and every state that it
publishes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping, Sequence
from random import Random
from typing import Any, ClassVar, cast

import orjson
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, invariant, rule

from headwater.clock import Stamps
from headwater.config import Settings, SocketSettings, StreamSettings
from headwater.model import GroupKey, Origin, Terms, Write
from headwater.protocol.clients.v0 import V0Wire
from headwater.server.live.session import Session
from headwater.server.live.session_v0 import V0Session
from headwater.server.live.session_v1 import V1Session
from headwater.server.live.v1_streams import V1Streams
from headwater.storage.base import Store
from headwater.storage.memory import MemoryStore
from headwater.streams.catalog import PRESENCE, Catalog, StreamRules
from headwater.streams.commits import Published
from headwater.streams.presence import Presence
from headwater.streams.realm import Realm, Realms
from headwater.streams.snapshot import read_snapshot
from headwater.streams.writer import Writer
from support.lossy_store import LossyStore
from support.machine import PROOF, LastingMemory, Machine, OverFile
from support.socket_server import OpenGate
from support.stream_store import HeldStore, turns
from support.stream_v0_client import Place, PublishedClient
from support.v1_client import HandSocket, JudgedClient, Recorded
from support.v1_stage import PresenceGate

NOBODY = Origin()
GROUPS = [GroupKey("chat", "a"), GroupKey("chat", "ab"), GroupKey("news", "a")]
PRESENT = GROUPS[0]
THERE = GroupKey(PRESENT.stream + PRESENCE, PRESENT.group)
KEPT = 2
"""Items that each group of `news` keeps."""
ITEMS = ["u", "v", "w", "x", "y", "z"]
MOSTLY_ROOM = st.sampled_from([GROUPS[0]] * 4 + GROUPS)
"""One group sees most of what happens, so that things happen at the same time."""
WISHES = st.tuples(
    MOSTLY_ROOM,
    st.sampled_from([(None, None), (None, None), (None, 1), (None, 3), ("x", None), ("y", None)]),
)
PLACES = st.builds(
    lambda group, item: Place(*group, item), MOSTLY_ROOM, st.sampled_from([None, None, "x", "y"])
)
KINDS = ["set", "set", "grow", "append", "member", "delete", "delete", "send", "expiring"]
WRITES = st.lists(
    st.tuples(st.sampled_from(KINDS), MOSTLY_ROOM, st.sampled_from(ITEMS)), min_size=1, max_size=6
)
SETTINGS = Settings(
    streams=StreamSettings(ring_bytes=3000, page_bytes=150), socket=SocketSettings(max_subscriptions=1000)
)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Generator[None]:
    """Faults that the machines make on purpose are logged with their traces."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class OldPage:
    """A page of protocol v0 with its connection."""

    def __init__(self, machine: V1Machine) -> None:
        self.machine = machine
        self.client = PublishedClient()
        self.socket: HandSocket | None = None
        self.reads = True

    def connect(self) -> None:
        self.socket = HandSocket(self.machine.high_water)
        self.socket.session = V0Session(
            self.socket, self.machine.v0, self.machine.realms.hub_of, OpenGate(), SETTINGS.socket
        )
        for join in self.client.joins():
            self.socket.session.message(join)

    def disconnect(self) -> None:
        if self.socket is not None and self.socket.session is not None:
            self.socket.ended = True
            self.socket.session.closed()
        self.socket = None

    def listen(self, name: str, place: Place) -> None:
        join = self.client.listen(name, place)
        if self.socket is not None and self.socket.session is not None:
            self.socket.session.message(join)

    def read(self) -> None:
        while self.socket is not None and self.socket.waiting:
            for payload in self.socket.read(1_000_000):
                self.client.take(orjson.loads(payload))

    @property
    def idle(self) -> bool:
        return self.socket is not None and not self.socket.waiting and not self.socket.full


class V1Machine(Machine):
    """The machine over memory; the clients outlive restarts of the server's rooms."""

    clients = Bundle("clients")
    pages = Bundle("pages")
    high_water = 600
    rolled: ClassVar[Mapping[str, float]] = {}
    slice = 1000

    def __init__(self) -> None:
        super().__init__()
        self.all: list[JudgedClient] = []
        self.old: list[OldPage] = []
        self.lose_notices = 0
        self.random = Random(0)
        self.states: Any = {}
        self.run(self.start())

    @property
    def inner(self) -> Store:
        return self.recorded.inner

    async def start(self, inner: Store | None = None) -> None:
        self.recorded = Recorded(inner or await self.open_store(), self.states)
        self.lossy = LossyStore(cast(Store, self.recorded), self.random)
        self.store = HeldStore(cast(Store, self.lossy))
        stamps = self.stamps = Stamps(self.clock, self.store.stamp)
        self.catalog = Catalog()
        self.catalog.declare(
            [
                StreamRules(name="chat", presence=True, rollup=self.rolled.get("chat", 0.0)),
                StreamRules(name="news", keep_newest=KEPT, rollup=self.rolled.get("news", 0.0)),
            ]
        )
        self.realm = Realm(self.catalog, self.store, stamps, SETTINGS, self.clock)
        there = Recorded(MemoryStore(), self.states)
        self.fleeting = Realm(self.catalog, there, stamps, SETTINGS, self.clock)  # pyright: ignore[reportArgumentType]
        self.realms = Realms(self.catalog, self.realm, self.fleeting)
        self.streams = V1Streams(self.realms)
        self.presence = Presence(self.catalog, self.fleeting.queue, max_state_bytes=1000)
        self.v0 = V0Wire(stamps)
        self.writer = Writer(
            self.catalog,
            self.store,
            self.realm.queue,
            max_item_bytes=1_000_000,
            max_id_bytes=100,
            clock=self.clock,
        )
        publish = self.realm.hub.publish

        def perhaps(published: Sequence[Published]) -> None:
            if self.lose_notices:
                self.lose_notices -= 1
                raise RuntimeError("the notice is lost")
            publish(published)

        self.realm.hub.publish = perhaps  # pyright: ignore[reportAttributeAccessIssue]

    def open(self, socket: HandSocket) -> Session:
        return V1Session(socket, self.streams, self.presence, PresenceGate(), SETTINGS.socket)

    # --- clients ---

    @initialize(target=clients, wishes=st.lists(WISHES, min_size=1, max_size=3))
    def begin_with_a_client(self, wishes: list[Any]) -> JudgedClient:
        client = self.open_client(wishes)
        self.run(turns(20))
        return client

    @rule(target=clients, wishes=st.lists(WISHES, min_size=1, max_size=3))
    def open_client(self, wishes: list[Any]) -> JudgedClient:
        client = JudgedClient(self, self.high_water)
        self.all.append(client)
        self.run(self.step(client.connect))
        for wish in wishes:
            self.subscribe(client, wish)
        return client

    @rule(client=clients, wish=WISHES)
    def subscribe(self, client: JudgedClient, wish: Any) -> None:
        group, (item, limit) = wish
        self.run(self.step(client.subscribe, group, item, limit))

    @rule(client=clients, limit=st.sampled_from([None, None, 1, 3]))
    def watch_who_is_there(self, client: JudgedClient, limit: int | None) -> None:
        self.run(self.step(client.subscribe, THERE, None, limit))

    @rule(client=clients, limit=st.sampled_from([None, None, 2]))
    def be_there(self, client: JudgedClient, limit: int | None) -> None:
        self.run(self.step(client.subscribe, PRESENT, None, limit, self.state()))

    @rule(client=clients, index=st.integers(0, 5))
    def change_state(self, client: JudgedClient, index: int) -> None:
        there = [one for one in client.subscriptions if one.presence is not None]
        if there:
            self.run(self.step(client.set_state, there[index % len(there)], self.state()))

    def state(self) -> dict[str, Any]:
        self.number += 1
        return {"g": list(THERE), "n": self.number}

    @rule(client=clients, index=st.integers(0, 5))
    def unsubscribe(self, client: JudgedClient, index: int) -> None:
        if client.subscriptions:
            one = client.subscriptions[index % len(client.subscriptions)]
            self.run(self.step(client.unsubscribe, one))

    @rule(client=clients, index=st.integers(0, 5), limit=st.integers(1, 3))
    def more(self, client: JudgedClient, index: int, limit: int) -> None:
        windows = [one for one in client.subscriptions if one.limit is not None]
        if windows:
            self.run(self.step(client.more, windows[index % len(windows)], limit))

    @rule(client=clients)
    def lose_or_find_connection(self, client: JudgedClient) -> None:
        self.run(self.step(client.disconnect if client.socket else client.connect))

    @rule(client=clients)
    def reconnect(self, client: JudgedClient) -> None:
        self.run(self.step(client.disconnect))
        self.run(self.step(client.connect))

    @rule(client=consumes(clients))
    def close_client(self, client: JudgedClient) -> None:
        self.all.remove(client)
        self.run(self.step(client.disconnect))

    @rule(client=clients)
    def stop_or_start_reading(self, client: JudgedClient) -> None:
        client.reads = not client.reads

    @rule(client=clients, most=st.integers(1, 4))
    def read_a_little(self, client: JudgedClient, most: int) -> None:
        client.reads = False
        self.run(self.step(client.read, most))

    @rule(client=clients)
    def stop_or_start_talking(self, client: JudgedClient) -> None:
        client.talks = not client.talks
        self.run(self.step(client.talk))

    # --- pages of protocol v0 ---

    @rule(target=pages, places=st.lists(PLACES, min_size=1, max_size=3))
    def open_page(self, places: list[Place]) -> OldPage:
        page = OldPage(self)
        self.old.append(page)
        for place in places:
            self.number += 1
            page.listen(f"listener {self.number}", place)
        self.run(self.step(page.connect))
        return page

    @rule(page=pages)
    def lose_or_find_page(self, page: OldPage) -> None:
        self.run(self.step(page.disconnect if page.socket else page.connect))

    @rule(page=pages)
    def stop_or_start_reading_page(self, page: OldPage) -> None:
        page.reads = not page.reads

    # --- writes ---

    @rule(writes=WRITES, size=st.sampled_from([0, 0, 400]), gap=st.integers(0, 3))
    def write(self, writes: list[tuple[str, GroupKey, str]], size: int, gap: int) -> None:
        self.run(self.write_all(writes, size, gap))

    @rule(seconds=st.sampled_from([0.5, 5.0]))
    def expire(self, seconds: float) -> None:
        self.clock.time += seconds
        self.run(self.begin(self.realm.expiry.once()))

    # --- the store ---

    @rule()
    def lose_a_notice(self) -> None:
        self.lose_notices = 1

    # --- what holds ---

    @rule()
    def settle(self) -> None:
        """Let everything come to rest; then every subscription holds what the store holds."""
        self.run(self.come_to_rest())
        for client in self.all:
            assert not client.errors or all(one["code"] == "STORE_UNAVAILABLE" for one in client.errors)
            for one in client.subscriptions:
                assert one.state.live, f"{one.stream}/{one.group} is not live"
                stored = self.run(self.stored(one))
                assert one.state.items() == stored, (
                    f"{one.stream}/{one.group}/{one.item} floor {one.state.floor}"
                )
        self.run(self.judge_presence())
        for page in self.old:
            for place, listener in page.client.listeners.values():
                assert listener.synced, f"{place} never got a sync"
                assert listener.state == self.run(self.shown(place)), place

    async def judge_presence(self) -> None:
        """Who is there is who gave a state and is subscribed now, with the last state given."""
        there = (await read_snapshot(self.fleeting.store, THERE)).items
        given = [
            one.presence for client in self.all for one in client.subscriptions if one.presence is not None
        ]
        held = [{**orjson.loads(item.data), "id": ""} for item in there]
        assert sorted(one["n"] for one in held) == sorted(one["n"] for one in given)

    @invariant()
    def clients_read(self) -> None:
        for page in self.old:
            if page.reads:
                self.run(self.step(page.read))
        for client in self.all:
            if client.reads:
                self.run(self.step(client.read))

    async def end(self) -> None:
        await self.store.release()
        await self.realms.close()
        await self.store.close()

    async def begin(self, what: Any) -> None:
        task = asyncio.ensure_future(what)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.writes.append(task)
        await turns(3)

    async def write_all(self, writes: list[tuple[str, GroupKey, str]], size: int, gap: int) -> None:
        for kind, group, item in writes:
            self.number += 1
            writing = self.begin_write(kind, group, item, size)
            writing.add_done_callback(lambda done: done.exception())
            self.writes.append(writing)
            await turns(gap)

    def begin_write(self, kind: str, group: GroupKey, item: str, size: int) -> asyncio.Future[Any]:
        writer = self.writer
        base: dict[str, Any] = {"g": list(group)}
        match kind:
            case "set" | "expiring":
                data = base | {"n": self.number, "text": "x" * size}
                terms = Terms(ttl=3.0) if kind == "expiring" else Terms()
                return writer.set(*group, item, orjson.dumps(data), terms=terms, origin=NOBODY)
            case "grow":
                data = base | {"text": "x" * (200 + self.number), "list": list(range(self.number % 20))}
                return writer.set(*group, item, orjson.dumps(data), origin=NOBODY)
            case "append" | "member":
                changed: list[dict[str, Any]] = [{"type": "set", "path": "g", "value": list(group)}]
                if kind == "append":
                    changed.append({"type": "append", "path": "grown", "value": f"{self.number} "})
                else:
                    changed.append({"type": "set", "path": "n", "value": self.number})
                return writer.update(*group, item, orjson.dumps(changed), origin=NOBODY)
            case "delete":
                return writer.delete(*group, item, origin=NOBODY)
            case _:
                return writer.send(*group, item, b'{"type":"t"}', origin=NOBODY)

    async def restart_server(self) -> None:
        """The server ends and begins again; its clients lose their connections and come back."""
        connected: list[JudgedClient | OldPage] = [*self.all, *self.old]
        connected = [client for client in connected if client.socket is not None]
        for client in connected:
            client.disconnect()
        await self.store.release()
        await self.realms.close()
        self.lose_notices = 0
        await self.reopen()
        for client in connected:
            client.connect()

    async def come_to_rest(self) -> None:
        await self.store.release()
        self.lose_notices = 0
        for client in self.all:
            client.reads = client.talks = True
            if client.socket is None:
                client.connect()
        for page in self.old:
            page.reads = True
            if page.socket is None:
                page.connect()
        self.lossy.deliver_late(len(self.lossy.late) // 2)
        await self.rest()

    async def at_rest(self) -> bool:
        for _ in range(2):  # A last notice that was lost shows at the second comparison.
            await self.realm.hub.compare()
        await turns(10)
        while pending := [one for one in self.writes if not one.done()]:
            await asyncio.wait(pending)
        self.writes.clear()
        for client in self.all:  # A little at a time: a slow client too must come to an end.
            client.talk()
            client.read(2)
        for page in self.old:
            page.read()
        hubs = [self.realm.hub, self.fleeting.hub]
        feeds = [hub._feeds[group] for hub in hubs for group in hub.groups]  # pyright: ignore[reportPrivateUsage]
        behind = any(not one.live for feed in feeds for one in feed.subscriptions)
        pending = any(feed.withheld(asyncio.get_running_loop().time()) for feed in feeds)
        flushing = any(one._flush for feed in feeds for one in feed._lanes.values())  # pyright: ignore[reportPrivateUsage]
        resting = all(client.idle for client in [*self.all, *self.old])
        queued = self.realm.queue.pending_bytes or self.fleeting.queue.pending_bytes
        lagging = any(feed.lags for feed in feeds)
        return resting and not (flushing or behind or pending or queued or lagging)

    async def shown(self, place: Place) -> Any:
        items = [orjson.loads(item.data) for item in await self.writer.get_group(place.stream, place.group)]
        return items if place.item is None else next((one for one in items if one["id"] == place.item), None)

    async def stored(self, one: Any) -> list[dict[str, Any]]:
        group = GroupKey(one.stream, one.group)
        snapshot = await read_snapshot(self.realms.of(one.stream).store, group)
        return [
            orjson.loads(item.data)
            for item in snapshot.items
            if one.item in (None, item.id) and item.created >= one.state.floor
        ]


class MemoryMachine(V1Machine):
    """The same, where the store may be lost altogether: an epoch ends."""

    @rule()
    def lose_the_store(self) -> None:
        self.clock.time += 10  # Pages of protocol v0 go by the clock where nothing was kept.
        self.recorded.inner = LastingMemory()
        self.run(self.restart_server())


class SlicedMachine(V1Machine):
    """The same where each flush leaves in slices."""

    slice = 1


class RollupMachine(V1Machine):
    """The same where one stream holds its changes back for a moment and merges them."""

    rolled: ClassVar[Mapping[str, float]] = {"chat": 0.05}


class ManyProcessesMachine(V1Machine):
    """The same where other processes write as well, whose notices come as badly as they may."""

    @initialize(seed=st.integers(0, 2**32))
    def seed(self, seed: int) -> None:
        self.random.seed(seed)

    @rule(writes=WRITES, size=st.sampled_from([0, 0, 400]))
    def write_elsewhere(self, writes: list[tuple[str, GroupKey, str]], size: int) -> None:
        self.run(self.commit_elsewhere(writes, size))

    @rule(most=st.integers(1, 5))
    def deliver_late_notices(self, most: int) -> None:
        self.run(self.step(self.lossy.deliver_late, most))

    @rule()
    def compare(self) -> None:
        self.run(self.begin(self.realm.hub.compare()))

    @rule()
    def tell_of_losses(self) -> None:
        self.run(self.step(self.lossy.on_changes, []))
        self.run(self.begin(self.realm.hub.compare(certain=True)))

    async def commit_elsewhere(self, writes: list[tuple[str, GroupKey, str]], size: int) -> None:
        units: list[Write] = []
        for kind, group, item in writes:
            self.number += 1
            data = orjson.dumps({"id": item, "g": list(group), "n": self.number, "text": "y" * size})
            units.append(Write(group, item, "delete" if kind == "delete" else "set", data))
        await self.lossy.elsewhere(units, stamp=self.stamps.next())
        await turns(3)


class SqliteMachine(OverFile, V1Machine):
    """The same over a file, closed and opened again at each restart."""


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(
    PROOF,
    max_examples=100,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestSlices = SlicedMachine.TestCase
TestSlices.settings = settings(TestMemory.settings, max_examples=50)
TestRollups = RollupMachine.TestCase
TestRollups.settings = settings(TestMemory.settings, max_examples=50)
TestManyProcesses = ManyProcessesMachine.TestCase
TestManyProcesses.settings = settings(TestMemory.settings, max_examples=100)
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(TestMemory.settings, max_examples=20)
