"""Joining, leaving, falling behind and catching up, over a real store whose answers can be held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.errors import StoreUnavailable
from headwater.model import GroupKey, Origin, Write
from headwater.protocol.clients.v1 import V1Wire
from headwater.protocol.clients.wire import Brought, Cursor, Wish
from headwater.streams.fanout import catchup as catchup_module
from headwater.streams.fanout import recovery, snapshots
from headwater.streams.fanout.pace import DELIVERIES
from headwater.streams.fanout.slots import MOST_AT_ONCE
from headwater.streams.fanout.subscription import Subscription
from support.stream_changes import ROOM
from support.stream_frames import Recorder
from support.stream_stage import StreamStage, kinds, recorder
from support.stream_store import turns


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[StreamStage]:
    monkeypatch.setattr(snapshots, "SHARED_SECONDS", 0.0)  # Each joiner reads the store.
    stage = StreamStage()
    yield stage
    await stage.close()


def synced(subscription: Subscription) -> list[Any]:
    """The data of the last sync."""
    syncs = [event for event in recorder(subscription).events if event["type"] == "sync"]
    return syncs[-1]["data"]


NOBODY = Origin()


def write(item: str) -> Write:
    return Write(ROOM, item, "set", orjson.dumps({"id": item}))


class TestJoining:
    async def test_gives_the_state_first_and_then_every_change(self, stage: StreamStage) -> None:
        await stage.set("a", n=1)
        one = await stage.live()
        await stage.set("b", n=2)
        await stage.set("a", n=3)
        await stage.delete("b")
        await turns()
        assert synced(one) == [{"id": "a", "n": 1}]
        assert kinds(one) == ["sync", "create", "update", "delete"]

    async def test_an_item_gives_its_state_or_null_and_then_its_changes(self, stage: StreamStage) -> None:
        one = await stage.live("a")
        await stage.set("b")
        await stage.set("a", n=1)
        await turns()
        assert recorder(one).events == [
            {"type": "sync", "data": None},
            {"type": "create", "data": {"n": 1, "id": "a"}},
        ]

    async def test_keeps_groups_apart_even_where_one_name_begins_another(self, stage: StreamStage) -> None:
        room, prefix, stream = GroupKey("chat", "ab"), GroupKey("chat", "a"), GroupKey("news", "ab")
        subscriptions = [await stage.live(group=group) for group in (room, prefix, stream)]
        items = [await stage.live("x", group=group) for group in (room, prefix, stream)]
        await stage.set("x", group=room)
        await turns()
        assert [kinds(one) for one in subscriptions] == [["sync", "create"], ["sync"], ["sync"]]
        assert [kinds(one) for one in items] == [["sync", "create"], ["sync"], ["sync"]]

    async def test_over_many_pages_gives_one_sync_in_creation_order(self) -> None:
        stage = StreamStage(page_bytes=50)
        for n in range(20):
            await stage.set(f"i{n}", n=n)
        await stage.set("i3", n=33)
        one = stage.subscribe()
        await turns(100)
        assert [item["n"] for item in synced(one)] == [0, 1, 2, 33, *range(4, 20)]
        await stage.close()

    async def test_sees_a_write_made_while_its_read_is_under_way(self, stage: StreamStage) -> None:
        stage.store.holds.add("read")
        one = stage.subscribe()
        await turns()
        [read] = stage.store.waiting("read")
        await read.perform()
        await stage.set("a")
        await read.finish()
        assert synced(one) == [{"id": "a"}]

    async def test_waits_for_the_notice_of_a_commit_that_it_has_read(self, stage: StreamStage) -> None:
        first = await stage.live()
        stage.store.holds.add("commit")
        writing = stage.writer.set(*ROOM, "a", b"{}", origin=NOBODY)
        await turns()
        [commit] = stage.store.waiting("commit")
        await commit.perform()
        second = stage.subscribe()
        await turns()
        assert (second.live, kinds(second)) == (False, [])
        await commit.finish()
        await writing
        await turns()
        assert (kinds(first), kinds(second)) == (["sync", "create"], ["sync"])
        assert synced(second) == [{"id": "a"}]

    async def test_after_leaving_amid_a_read_does_not_trust_that_read(self, stage: StreamStage) -> None:
        """What happens while nobody is subscribed to a group passes no feed, so an answer from before must
        not be taken for the present."""
        stage.store.holds.add("read")
        first = stage.subscribe()
        await turns()
        [read] = stage.store.waiting("read")
        await read.perform()
        first.end()
        await stage.set("a")
        second = stage.subscribe()
        await turns()
        await stage.store.release()
        await turns()
        assert synced(second) == [{"id": "a"}]
        assert kinds(first) == []

    async def test_shares_one_read_among_those_who_join_together(self, stage: StreamStage) -> None:
        stage.store.holds.add("read")
        crowd = [stage.subscribe() for _ in range(5)]
        await turns()
        assert len(stage.store.waiting("read")) == 1
        await stage.store.release()
        await turns()
        assert all(one.live for one in crowd)

    async def test_again_gives_a_second_sync(self, stage: StreamStage) -> None:
        one = await stage.live()
        await stage.set("a")
        one.restart()
        await turns()
        assert kinds(one) == ["sync", "create", "sync"]
        assert synced(one) == [{"id": "a"}]

    async def test_again_while_the_first_is_under_way_ends_live(self, stage: StreamStage) -> None:
        stage.store.holds.add("read")
        one = stage.subscribe()
        await turns()
        one.restart()
        await stage.set("a")
        await stage.store.release()
        await turns()
        await stage.set("b")
        await turns()
        assert one.live
        assert synced(one) == [{"id": "a"}]
        assert kinds(one)[-1] == "create"


class TestLeaving:
    async def test_ends_all_frames(self, stage: StreamStage) -> None:
        one = await stage.live()
        one.end()
        await stage.set("a")
        await turns()
        assert kinds(one) == ["sync"]
        assert stage.hub.groups == []

    async def test_amid_a_catch_up_ends_it_unsent(self, stage: StreamStage) -> None:
        stage.store.holds.add("read")
        one = stage.subscribe()
        await turns()
        one.end()
        await stage.store.release()
        await turns()
        assert kinds(one) == []

    async def test_while_waiting_for_a_notice_ends_it_too(self, stage: StreamStage) -> None:
        other = await stage.live()
        stage.store.holds.add("commit")
        writing = stage.writer.set(*ROOM, "a", b"{}", origin=NOBODY)
        await turns()
        await stage.store.waiting("commit")[0].perform()
        one = stage.subscribe()
        await turns()
        one.end()
        await stage.store.release()
        await writing
        await stage.set("b")
        await turns()
        assert (one.live, kinds(one)) == (False, [])
        assert kinds(other) == ["sync", "create", "create"]

    async def test_twice_is_harmless(self, stage: StreamStage) -> None:
        one = await stage.live()
        one.end()
        one.end()
        one.restart()
        one.resume()
        await turns()
        assert kinds(one) == ["sync"]


class TestFallingBehind:
    async def test_a_full_subscriber_gets_a_fresh_sync_once_it_has_drained(self, stage: StreamStage) -> None:
        slow, fast = await stage.live(), await stage.live()
        recorder(slow).full = True
        for n in range(5):
            await stage.set("a", n=n)
            await turns()
        assert (slow.live, kinds(slow), kinds(fast)[1:]) == (False, ["sync"], ["create", *["update"] * 4])
        recorder(slow).full = False
        slow.resume()
        await turns()
        assert kinds(slow) == ["sync", "sync"]
        assert synced(slow) == [{"id": "a", "n": 4}]
        await stage.set("a", n=9)
        await turns()
        assert kinds(slow)[-1] == "update"

    async def test_a_subscriber_full_at_its_sync_can_be_resumed(self, stage: StreamStage) -> None:
        one = stage.subscribe()
        recorder(one).full = True
        await turns()
        assert not one.live
        recorder(one).full = False
        one.resume()
        await turns()
        assert (one.live, kinds(one)) == (True, ["sync"])

    async def test_a_lost_notice_is_repaired_by_the_next(self, stage: StreamStage) -> None:
        one, item = await stage.live(), await stage.live("b")
        await stage.store.inner.commit([write("lost")], stamp=stage.stamps.next())
        await stage.set("b")
        await turns()
        assert (one.live, item.live) == (True, True)
        assert [entry["id"] for entry in synced(one)] == ["lost", "b"]
        assert synced(item) == {"id": "b"}

    async def test_old_deletes_forgotten_amid_a_catch_up_do_not_leave_items_behind(self) -> None:
        stage = StreamStage(page_bytes=1)
        for name in "abc":
            await stage.set(name)
        stage.store.holds.add("read")
        one = stage.subscribe()
        await turns()
        await stage.store.waiting("read")[0].finish()
        await stage.delete("a")
        while await stage.store.sweep(now=1e12, tombstone_age=0):
            pass
        await stage.store.release()
        await turns(50)
        assert [item["id"] for item in synced(one)] == ["b", "c"]
        await stage.close()

    async def test_deletes_forgotten_before_a_catch_up_do_not_keep_it_from_its_end(self) -> None:
        stage = StreamStage(page_bytes=1)
        for name in "abcd":
            await stage.set(name)
        await stage.delete("d")
        while await stage.store.sweep(now=1e12, tombstone_age=0):
            pass
        one = stage.subscribe()
        await turns(50)
        assert [item["id"] for item in synced(one)] == ["a", "b", "c"]
        await stage.close()


class TestManyCatchUpsAtOnce:
    def crowd(self, stage: StreamStage, subscriber: Recorder) -> list[Subscription]:
        groups = [GroupKey("chat", f"group {number}") for number in range(50)]
        return [stage.hub.subscribe(subscriber, stage.wire, Wish(group)) for group in groups]

    async def test_of_one_subscriber_run_a_few_at_a_time(self, stage: StreamStage) -> None:
        stage.store.holds.add("read")
        crowd = self.crowd(stage, Recorder())
        await turns()
        assert len(stage.store.waiting("read")) == MOST_AT_ONCE
        await stage.store.waiting("read")[0].finish()
        await turns()
        assert crowd[0].live
        assert len(stage.store.waiting("read")) == MOST_AT_ONCE
        await stage.store.release()
        await turns(200)
        assert all(one.live for one in crowd)

    async def test_keep_nobody_else_waiting(self, stage: StreamStage) -> None:
        stage.store.holds.add("read")
        self.crowd(stage, Recorder())
        other = stage.subscribe()
        await turns()
        await stage.store.waiting("read")[-1].finish()
        assert other.live

    async def test_end_where_they_are_not_wanted_any_more(self, stage: StreamStage) -> None:
        stage.store.holds.add("read")
        subscriber = Recorder()
        for one in self.crowd(stage, subscriber)[1:]:
            one.end()
        await stage.store.release()
        await turns(50)
        assert len(subscriber.offers) == 1
        assert stage.hub.groups == [GroupKey("chat", "group 0")]

    async def test_read_nothing_for_one_that_is_full(self, stage: StreamStage) -> None:
        class Full(Recorder):
            full_at = 3

            @property
            def is_full(self) -> bool:
                return len(self.offers) >= self.full_at

            def offer(self, frames: bytes) -> bool:
                return not self.is_full and super().offer(frames)

        subscriber, reads = Full(), 0
        inner_read = stage.store.inner.read

        async def read(*arguments: Any, **named: Any) -> Any:
            nonlocal reads
            reads += 1
            return await inner_read(*arguments, **named)

        stage.store.inner.read = read  # type: ignore[method-assign]
        crowd = self.crowd(stage, subscriber)
        await turns(100)
        assert sum(one.live for one in crowd) == 3
        assert reads <= 3 + MOST_AT_ONCE
        subscriber.full_at = 1000
        for one in crowd:
            one.resume()
        await turns(200)
        assert all(one.live for one in crowd)


class TestAFeedThatLags:
    async def test_since_its_group_was_forgotten_does_not_keep_anybody_waiting(
        self, stage: StreamStage
    ) -> None:
        """A group that the store does not know goes on from the store's base, which rises without a change to
        the group."""
        first, item = await stage.live(), await stage.live("a")
        other = GroupKey("chat", "other")
        await stage.set("x", group=other)
        await stage.delete("x", group=other)
        while await stage.store.sweep(now=1e12, tombstone_age=0):
            pass
        second = await stage.live()
        await turns()
        await stage.set("a", n=1)
        await turns()
        assert (first.live, item.live, second.live) == (True, True, True)
        for one in (first, item, second):
            assert kinds(one)[-1] == "create"

    async def test_since_a_notice_was_lost_is_set_right_in_the_end(
        self, stage: StreamStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catchup_module, "AHEAD_SECONDS", 0.01)
        first = await stage.live()
        await stage.store.inner.commit([write("lost")], stamp=stage.stamps.next())
        second = stage.subscribe()
        async with asyncio.timeout(60):
            while not (first.live and second.live and synced(first) == synced(second)):
                await asyncio.sleep(0.001)
        assert synced(first) == [{"id": "lost"}]


class TestAStoreThatFails:
    async def test_is_asked_again_and_the_client_is_told(
        self, stage: StreamStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recovery, "RETRY_SECONDS", 0.0)
        stage.store.faults["read"] = StoreUnavailable("The disk is gone.")
        one = stage.subscribe()
        await turns()
        assert not one.live
        assert {event["event"]["data"]["code"] for event in recorder(one).events} == {"STORE_UNAVAILABLE"}
        del stage.store.faults["read"]
        await turns(50)
        assert one.live
        assert kinds(one)[-1] == "sync"

    async def test_does_not_touch_those_who_are_live(self, stage: StreamStage) -> None:
        one = await stage.live()
        stage.store.faults["read"] = StoreUnavailable("The disk is gone.")
        stage.subscribe()
        await stage.set("a")
        await turns()
        assert kinds(one) == ["sync", "create"]


class TestResuming:
    """A wire that can resume, by a cursor."""

    async def resumed(self, stage: StreamStage, cursor: int) -> Subscription:
        stage.wire = V1Wire(stage.store.epoch)
        wish = Wish(ROOM, brought=Brought(Cursor(stage.store.epoch, cursor)))
        subscription = stage.hub.subscribe(Recorder(), stage.wire, wish)
        await turns()
        return subscription

    async def test_from_memory_reads_nothing(self, stage: StreamStage) -> None:
        await stage.live()
        for n in range(3):
            await stage.set("a", n=n)
        stage.store.holds.add("read")
        one = await self.resumed(stage, 1)
        assert one.live
        assert [message["t"] for message in recorder(one).messages] == ["page", "complete"]
        assert recorder(one).messages[0]["items"] == [[3, 1, {"n": 2, "id": "a"}]]

    async def test_amid_a_sliced_flush_of_newer_changes_waits_for_it(self, stage: StreamStage) -> None:
        stage.wire = V1Wire(stage.store.epoch)
        crowd = [stage.subscribe() for _ in range(DELIVERIES + 20)]
        await turns()
        assert all(one.live for one in crowd)
        await stage.set("a", n=1)
        await stage.set("a", n=2)
        one = await self.resumed(stage, 2)
        await turns()
        assert one.live
        await stage.set("a", n=3)
        await turns()
        assert [message["t"] for message in recorder(one).messages] == ["complete", "set"]
