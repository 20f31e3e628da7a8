"""Writer, queue, hub and store of one process, put together as the server does, without sockets."""

from __future__ import annotations

from typing import Any

import orjson

from headwater.clock import Clock, Stamps
from headwater.config import StreamSettings
from headwater.model import GroupKey, Item, Origin
from headwater.observe import SILENT, Observer
from headwater.protocol.clients.v0 import V0Wire
from headwater.protocol.clients.wire import Wire, Wish
from headwater.storage.memory import MemoryStore
from headwater.streams.catalog import Catalog, StreamRules
from headwater.streams.commits import CommitQueue
from headwater.streams.fanout.budgets import Budgets
from headwater.streams.fanout.hub import Hub
from headwater.streams.fanout.subscription import Subscription
from headwater.streams.writer import Writer
from support.stream_changes import ROOM
from support.stream_clock import HandClock
from support.stream_frames import Recorder
from support.stream_store import HeldStore, turns


class StreamStage:
    """All rooms between a write and a subscriber, over a store that a test can hold."""

    def __init__(
        self,
        store: HeldStore | None = None,
        *,
        clock: Clock | None = None,
        ring_bytes: int = 100_000,
        snapshots_bytes: int = 2**30,
        page_bytes: int = 100_000,
        max_item_bytes: int = 1_000_000,
        max_pending_bytes: int = 10_000_000,
        rings_bytes: int = 2**30,
        max_window: int = 1000,
        observer: Observer = SILENT,
    ) -> None:
        self.store = store or HeldStore(MemoryStore())
        self.stamps = Stamps(clock or HandClock(), self.store.stamp)
        self.catalog = Catalog()
        self.catalog.declare([StreamRules(name="chat"), StreamRules(name="news")])
        given = StreamSettings(
            ring_bytes=ring_bytes, rings_bytes=rings_bytes, snapshots_bytes=snapshots_bytes
        )
        budgets = Budgets.of(given, observer)
        self.snapshots = budgets.snapshots
        self.observer = observer
        self.hub = Hub(
            self.store,
            budgets=budgets,
            page_bytes=page_bytes,
            max_window=max_window,
            rollup=self.catalog.rollup,
            observer=observer,
        )
        self.queue = CommitQueue(
            self.store,
            self.stamps,
            self.hub.publish,
            max_pending_bytes=max_pending_bytes,
            observer=observer,
        )
        self.writer = Writer(
            self.catalog, self.store, self.queue, max_item_bytes=max_item_bytes, max_id_bytes=100
        )
        self.wire: Wire = V0Wire(self.stamps)

    async def set(self, item: str, group: GroupKey = ROOM, **members: Any) -> Item:
        """Write an item and wait for the commit."""
        return await self.writer.set(*group, item, orjson.dumps(members), origin=Origin())

    async def delete(self, item: str, group: GroupKey = ROOM) -> Item | None:
        """Delete an item and wait for the commit."""
        return await self.writer.delete(*group, item, origin=Origin())

    async def send(self, kind: str, item: str | None = None, group: GroupKey = ROOM) -> None:
        """Send an event without data."""
        await self.writer.send(*group, item, orjson.dumps({"type": kind}), origin=Origin())

    def subscribe(self, item: str | None = None, group: GroupKey = ROOM) -> Subscription:
        """A subscription of a new Recorder."""
        return self.hub.subscribe(Recorder(), self.wire, Wish(group, item))

    async def live(self, item: str | None = None, group: GroupKey = ROOM) -> Subscription:
        """The same, once it is live."""
        subscription = self.subscribe(item, group)
        await turns()
        assert subscription.live
        return subscription

    async def close(self) -> None:
        """End it as the server does."""
        await self.store.release()
        await self.queue.close()
        await self.hub.close()
        await self.store.close()


def recorder(subscription: Subscription) -> Recorder:
    """The Recorder behind a subscription."""
    assert isinstance(subscription.subscriber, Recorder)
    return subscription.subscriber


def kinds(subscription: Subscription) -> list[str]:
    """The event types that a subscription was sent."""
    return [event["type"] for event in recorder(subscription).events]
