"""Whatever happens, a page that speaks v0 ends with the store's state.

Any schedule of writes, deletes, joins, leaves, lost connections, slow pages, swept deletes, rolled-up streams
and restarts, over a store whose commits and reads take effect and answer in any order that a busy machine
allows. The pages are models of the published clients.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, invariant, multiple, rule

from headwater.config import SocketSettings
from headwater.model import GroupKey, Origin
from headwater.protocol.clients.v0 import V0Wire
from headwater.server.live.session_v0 import V0Session
from headwater.storage.base import Store
from headwater.streams.catalog import StreamRules
from support.machine import PROOF, Machine, OverFile
from support.socket_server import OpenGate
from support.stream_frames import messages
from support.stream_stage import StreamStage
from support.stream_store import HeldStore, turns
from support.stream_v0_client import Place, PublishedClient

NOBODY = Origin()
GROUPS = [GroupKey("chat", "a"), GroupKey("chat", "ab"), GroupKey("news", "a")]
ITEMS = ["v", "w", "x", "y", "z"]
ROOM = GROUPS[0]
MOSTLY_ROOM = st.sampled_from([ROOM, ROOM, ROOM, ROOM, *GROUPS])
"""One group sees most of what happens, so that things happen at the same time."""
PLACES = st.builds(
    lambda group, item: Place(*group, item), MOSTLY_ROOM, st.sampled_from([None, None, None, *ITEMS])
)
WRITES = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "delete", "delete", "send"]),
        MOSTLY_ROOM,
        st.sampled_from(ITEMS),
    ),
    min_size=1,
    max_size=6,
)


class Page:
    """A page with its connection: what was sent waits in a buffer until the page reads it."""

    def __init__(self, machine: StreamMachine) -> None:
        self.client = PublishedClient()
        self.machine = machine
        self.session: V0Session | None = None
        self.buffer: list[bytes] = []
        self.reads = True
        self.is_full = False
        self.newest: dict[tuple[str, Place, str], int] = {}
        self.joined: set[tuple[str, str]] = set()
        self.frames: dict[tuple[Any, ...], float] = {}

    @property
    def outlet(self) -> Page | None:
        """It wants to be asked each time."""
        return None

    def offer(self, frames: bytes) -> bool:
        """As a socket does: whole or not at all."""
        if self.is_full:
            return False
        self.write(frames)
        return True

    def write(self, frames: bytes) -> None:
        """As a transport does: always, and told when that is too much."""
        assert not self.is_full, "written to a connection that had said it was full"
        self.buffer.append(frames)
        if sum(map(len, self.buffer)) > self.machine.high_water:
            self.is_full = True
            if self.session is not None:
                self.session.filled()

    def connect(self) -> None:
        stage = self.machine.stage
        assert isinstance(stage.wire, V0Wire)
        self.frames.clear()
        self.session = V0Session(self, stage.wire, lambda _stream: stage.hub, OpenGate(), SocketSettings())
        for join in self.client.joins():
            self.send(join)

    def send(self, text: str) -> None:
        if self.session is not None:
            self.session.message(text)

    def lose_connection(self) -> None:
        if self.session is not None:
            self.session.closed()
        self.session, self.buffer, self.is_full = None, [], False

    def read(self) -> None:
        """Take everything that was sent, and let the socket say that it has drained."""
        taken, self.buffer = self.buffer, []
        for frames in taken:
            for message in messages(frames):
                self.take(message)
        if self.is_full and self.session is not None:
            self.is_full = False
            self.session.drained()

    def take(self, message: dict[str, Any]) -> None:
        assert (message["streamName"], message["groupId"]) in self.joined, "from a group never joined"
        self.check_once(message)
        self.client.take(message)
        for name, (place, listener) in self.client.listeners.items():
            held = listener.state if isinstance(listener.state, list) else [listener.state]
            for item in held:
                if item is not None:
                    key = (name, place, item["id"])
                    assert item["n"] >= self.newest.get(key, 0), "the page went back"
                    self.newest[key] = item["n"]

    def check_once(self, message: dict[str, Any]) -> None:
        """One frame a change and one an event, whatever a page listens to."""
        kind, event = message["event"]["type"], message["event"]
        told = kind == "event" and event["event"]["type"] == "error"
        if kind != "sync" and not told:
            number = event["event"]["data"] if kind == "event" else event["data"]["n"]
            frame = (kind, message["streamName"], message["groupId"], message.get("id"), number)
            again = frame in self.frames and self.frames[frame]
            assert not again or (self.machine.slice == 1 and again == message["timestamp"]), "a frame twice"
            self.frames[frame] = message["timestamp"]


class DirectPage(Page):
    """A page whose connection says itself when it is full, as WebSockets do."""

    @property
    def outlet(self) -> Page:
        return self


class StreamMachine(Machine):
    """The machine over memory; the pages outlive restarts of the server's rooms."""

    pages = Bundle("pages")
    high_water = 700
    rollup = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Page] = []
        self.listeners = 0
        self.run(self.start())

    async def start(self, inner: Store | None = None) -> None:
        self.store = HeldStore(inner or await self.open_store())
        self.stage = StreamStage(self.store, clock=self.clock, ring_bytes=1500, page_bytes=40)
        if self.rollup:
            self.stage.catalog.declare(
                [StreamRules(name="chat", rollup=self.rollup), StreamRules(name="news")]
            )

    # --- pages ---

    @initialize(target=pages, listened=st.lists(st.lists(PLACES, min_size=1, max_size=3), max_size=3))
    def begin_with_pages(self, listened: list[list[Place]]) -> Any:
        opened = [self.open_page(places, bool(number % 2)) for number, places in enumerate(listened)]
        self.run(turns(20))
        return multiple(*opened)

    @rule(target=pages, places=st.lists(PLACES, min_size=1, max_size=3), direct=st.booleans())
    def open_page(self, places: list[Place], direct: bool) -> Page:
        page = DirectPage(self) if direct else Page(self)
        self.all.append(page)
        self.run(self.step(page.connect))
        for place in places:
            self.listen(page, place)
        return page

    @rule(page=pages, place=PLACES)
    def listen(self, page: Page, place: Place) -> None:
        self.listeners += 1
        page.joined.add((place.stream, place.group))
        join = page.client.listen(f"listener {self.listeners}", place)
        self.run(self.step(page.send, join))

    @rule(page=pages, data=st.data())
    def unlisten(self, page: Page, data: st.DataObject) -> None:
        if page.client.listeners:
            name = data.draw(st.sampled_from(sorted(page.client.listeners)))
            self.run(self.step(page.send, page.client.unlisten(name)))

    @rule(page=pages)
    def lose_or_find_connection(self, page: Page) -> None:
        self.run(self.step(page.lose_connection if page.session else page.connect))

    @rule(page=consumes(pages))
    def close_page(self, page: Page) -> None:
        self.all.remove(page)
        self.run(self.step(page.lose_connection))

    @rule(page=pages)
    def stop_or_start_reading(self, page: Page) -> None:
        page.reads = not page.reads

    # --- writes ---

    @rule(writes=WRITES, size=st.sampled_from([0, 0, 400]), gap=st.integers(0, 3))
    def write(self, writes: list[tuple[str, GroupKey, str]], size: int, gap: int) -> None:
        self.run(self.write_all(writes, size, gap))

    # --- time and the store ---

    @rule(seconds=st.sampled_from([-3600.0, -1.0, 0.5, 60.0]))
    def move_the_clock(self, seconds: float) -> None:
        self.clock.time += seconds

    # --- what holds ---

    @rule()
    def settle(self) -> None:
        """Let everything come to rest; then every listener shows what the store holds."""
        self.run(self.come_to_rest())
        for page in self.all:
            for place, listener in page.client.listeners.values():
                assert listener.synced, f"{place} never got a sync"
                assert listener.state == self.run(self.stored(place)), place

    @invariant()
    def pages_read(self) -> None:
        for page in self.all:
            if page.reads and page.buffer:
                self.run(self.step(page.read))

    async def end(self) -> None:
        await self.stage.close()

    async def write_all(self, writes: list[tuple[str, GroupKey, str]], size: int, gap: int) -> None:
        writer = self.stage.writer
        for kind, group, item in writes:
            self.number += 1
            if kind == "set":
                data = orjson.dumps({"n": self.number, "text": "x" * size})
                writing: asyncio.Future[Any] = writer.set(*group, item, data, origin=NOBODY)
            elif kind == "delete":
                writing = writer.delete(*group, item, origin=NOBODY)
            else:
                event = b'{"type":"t","data":%d}' % self.number
                writing = writer.send(*group, (self.number % 2 and item) or None, event, origin=NOBODY)
            writing.add_done_callback(lambda done: done.exception())
            self.writes.append(writing)
            await turns(gap)

    async def restart_server(self) -> None:
        """The server ends and begins again; its pages lose their connections and come back."""
        for page in self.all:
            page.lose_connection()
        await self.store.release()
        await self.stage.queue.close()
        await self.stage.hub.close()
        await self.reopen()
        for page in self.all:
            page.connect()

    async def come_to_rest(self) -> None:
        await self.store.release()
        for page in self.all:
            page.reads = True
            if page.session is None:
                page.connect()
        await self.rest()

    async def at_rest(self) -> bool:
        await turns(10)
        if self.writes:
            await asyncio.wait(self.writes)
            self.writes.clear()
        for page in self.all:
            page.read()
        busy = any(page.buffer or page.is_full for page in self.all)
        hub = self.stage.hub
        feeds = [hub._feeds[group] for group in hub.groups]  # pyright: ignore[reportPrivateUsage]
        behind = any(not one.live for feed in feeds for one in feed.subscriptions)
        pending = any(feed.withheld(asyncio.get_running_loop().time()) for feed in feeds)
        return not busy and not behind and not pending and not self.stage.queue.pending_bytes

    async def stored(self, place: Place) -> Any:
        if place.item is not None:
            item = await self.stage.writer.get(place.stream, place.group, place.item)
            return None if item is None else orjson.loads(item.data)
        items = await self.stage.writer.get_group(place.stream, place.group)
        return [orjson.loads(item.data) for item in items]


class SqliteMachine(OverFile, StreamMachine):
    """The same over a file, closed and opened again at each restart."""


class RollupMachine(StreamMachine):
    """The same where one stream holds its changes back for a moment and merges them."""

    rollup = 0.05


class LargeRoomMachine(StreamMachine):
    """The same where a flush takes several turns of the loop, as it does in large rooms. A page that leaves a
    group amid a flush may get a frame again, for an item, under the same stamp: it drops that."""

    slice = 1


TestMemory = StreamMachine.TestCase
TestMemory.settings = settings(PROOF, max_examples=150)
TestRollups = RollupMachine.TestCase
TestRollups.settings = settings(PROOF, max_examples=100)
TestLargeRooms = LargeRoomMachine.TestCase
TestLargeRooms.settings = settings(PROOF, max_examples=100)
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(PROOF, max_examples=25)
