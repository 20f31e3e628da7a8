"""Whole groups for clients that cannot resume: one frame for all who get the same, and a bound over all."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from headwater.model import GroupKey
from headwater.streams.fanout import snapshots
from headwater.streams.fanout.subscription import Subscription
from support.ear import Ear
from support.stream_changes import ROOM
from support.stream_stage import StreamStage, kinds, recorder
from support.stream_store import turns

ITEM_BYTES = 1000
GROUPS = [GroupKey("chat", f"group {number}") for number in range(6)]


@pytest.fixture
async def stage() -> AsyncGenerator[StreamStage]:
    """Room for two groups and a half."""
    stage = StreamStage(snapshots_bytes=2500, page_bytes=400, observer=Ear())
    for group in [*GROUPS, ROOM]:
        for number in range(2):
            await stage.set(f"i{number}", group, text="x" * (ITEM_BYTES // 2))
    yield stage
    await stage.close()


class Slow:
    """Makes a subscriber full as soon as it has taken anything."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.recorder = recorder(subscription)
        taken = self.recorder.offer

        def offer(frames: bytes) -> bool:
            fits = taken(frames)
            self.recorder.full = True
            return fits

        self.recorder.offer = offer  # type: ignore[method-assign]

    def read(self) -> None:
        self.recorder.full = False
        self.subscription.resume()


async def test_those_who_join_one_group_get_the_same_bytes(stage: StreamStage) -> None:
    crowd = [Slow(stage.subscribe()) for _ in range(5)]
    await turns(100)
    late = Slow(stage.subscribe())
    await turns(20)
    frames = {id(one.recorder.offers[0]) for one in [*crowd, late]}
    assert len(frames) == 1
    assert stage.snapshots.used == len(late.recorder.offers[0])


async def test_who_joins_after_a_change_gets_it(stage: StreamStage) -> None:
    slow = Slow(stage.subscribe())
    await turns(50)
    await stage.set("new")
    late = stage.subscribe()
    await turns(50)
    assert slow.subscription.live or slow.recorder.full
    assert [item["id"] for item in recorder(late).events[0]["data"]] == ["i0", "i1", "new"]


async def test_others_wait_while_as_much_is_unread_as_may_be(
    stage: StreamStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SHARED_SECONDS", 0.0)
    crowd = [Slow(stage.subscribe(group=group)) for group in GROUPS]
    await turns(300)
    served = [one for one in crowd if one.recorder.offers]
    assert 0 < len(served) < len(crowd)
    assert stage.snapshots.used <= 2500 + 2 * ITEM_BYTES
    assert isinstance(stage.observer, Ear)
    assert set(stage.observer.limits()) == {"streams.snapshots_bytes"}
    for _ in crowd:
        for one in crowd:
            one.read()
        await turns(100)
    assert [kinds(one.subscription)[0] for one in crowd] == ["sync"] * len(crowd)
    assert stage.snapshots.used == 0


async def test_whoever_leaves_makes_room(stage: StreamStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "SHARED_SECONDS", 0.0)
    crowd = [Slow(stage.subscribe(group=group)) for group in GROUPS]
    await turns(300)
    for one in crowd[:-1]:
        one.subscription.end()
        await turns(100)
    assert kinds(crowd[-1].subscription) == ["sync"]
    crowd[-1].subscription.end()
    await turns(10)
    assert stage.snapshots.used == 0


async def test_one_group_may_be_larger_than_all_that_may_be_held(stage: StreamStage) -> None:
    for number in range(20):
        await stage.set(f"large {number}", text="x" * ITEM_BYTES)
    one = await stage_live(stage)
    assert len(recorder(one).events[0]["data"]) == 22


async def stage_live(stage: StreamStage) -> Subscription:
    one = stage.subscribe()
    await turns(300)
    assert one.live
    return one


async def test_a_catch_up_that_ends_in_between_holds_nothing(
    stage: StreamStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SHARED_SECONDS", 0.0)
    stage.store.holds.add("read")
    one = stage.subscribe()
    await turns()
    await stage.store.waiting("read")[0].finish()
    one.end()
    await stage.store.release()
    await turns(50)
    assert stage.snapshots.used == 0
