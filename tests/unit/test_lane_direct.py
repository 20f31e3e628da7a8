"""Subscribers that say themselves when they are full are written to without being asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from headwater.clock import Stamps, SystemClock
from headwater.model import Change, GroupKey
from headwater.protocol.clients.v0 import V0Wire
from headwater.protocol.clients.wire import Advance
from headwater.streams.fanout.lane import Lane
from headwater.streams.fanout.pace import DELIVERIES, Pace
from headwater.streams.fanout.subscription import Subscription
from support.stream_feeds import again, catching_up

GROUP = GroupKey("chat", "general")


class Direct:
    """A subscriber that counts what is written, and may be full."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.written: list[bytes] = []
        self.is_full = False
        self.then = then

    @property
    def outlet(self) -> Direct:
        return self

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.then()

    def offer(self, frames: bytes) -> bool:
        if not self.is_full:
            self.write(frames)
        return not self.is_full


class Stage:
    """A lane at version 0 and what leaves it."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.wire = V0Wire(Stamps(SystemClock()))
        self.pace = pace or Pace()
        self.lane = Lane(1, self.wire, 0, self.pace)
        self.version = 0

    def join(self, subscriber: Direct, item: str | None = None, floor: int = 0) -> Subscription:
        """Let one in; with a floor it is a window."""
        subscription = catching_up(subscriber, self.wire, item, limit=10 if floor else None)
        subscription.floor = floor
        self.lane.enter(subscription)
        return subscription

    def change(self, item: str = "a", created: int = 1) -> None:
        self.version += 1
        change = Change(GROUP, item, "update", self.version, created, b"{}")
        self.lane.change(Advance(change, 1, None))

    def send(self, item: str = "a", created: int = 1) -> None:
        self.change(item, created)
        self.lane.flush()


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_everyone_gets_every_flush_once(stage: Stage) -> None:
    subscribers = [Direct() for _ in range(3)]
    for subscriber in subscribers:
        stage.join(subscriber)
    stage.send()
    stage.send()
    assert [len(subscriber.written) for subscriber in subscribers] == [2, 2, 2]


async def test_one_that_has_said_it_is_full_is_behind_at_the_next_flush_and_gets_nothing(
    stage: Stage,
) -> None:
    slow, quick = Direct(), Direct()
    subscription = stage.join(slow)
    stage.join(quick)
    stage.send()
    slow.is_full = True
    subscription.filled()
    assert subscription.live
    stage.send()
    assert not subscription.live
    assert (len(slow.written), len(quick.written)) == (1, 2)


async def test_one_that_drained_before_anything_left_stays_live(stage: Stage) -> None:
    subscriber = Direct()
    subscription = stage.join(subscriber)
    subscription.filled()
    subscription.resume()
    stage.send()
    assert subscription.live
    assert len(subscriber.written) == 1


async def test_one_that_fills_up_while_it_is_written_to_has_that_flush_and_misses_the_next(
    stage: Stage,
) -> None:
    subscriber = Direct()
    subscription = stage.join(subscriber)
    subscriber.then = lambda: subscription.filled()
    stage.send()
    assert subscription.live
    stage.send()
    assert not subscription.live
    assert len(subscriber.written) == 1


async def test_one_that_is_full_when_it_enters_gets_nothing(stage: Stage) -> None:
    subscriber = Direct()
    subscriber.is_full = True
    subscription = stage.join(subscriber)
    stage.send()
    assert not subscription.live
    assert subscriber.written == []


async def test_one_that_fails_keeps_nothing_from_the_others(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("the transport is closed")

    before, broken, after = Direct(), Direct(fail), Direct()
    for subscriber in (before, broken, after):
        stage.join(subscriber)
    stage.send()
    assert (len(before.written), len(after.written)) == (1, 1)
    assert "failed to take frames" in caplog.text


async def test_one_that_left_is_not_written_to(stage: Stage) -> None:
    subscriber = Direct()
    subscription = stage.join(subscriber)
    subscription.filled()
    stage.lane.leave(subscription)
    stage.send()
    assert subscriber.written == []
    assert stage.lane.empty


class TestMoreThanATurnTakes:
    """What happens to those whose turn has not come yet."""

    def crowd(self, stage: Stage) -> tuple[list[Direct], list[Subscription]]:
        subscribers = [Direct() for _ in range(DELIVERIES + 3)]
        return subscribers, [stage.join(subscriber) for subscriber in subscribers]

    async def test_everyone_gets_it_once_in_the_end(self, stage: Stage) -> None:
        subscribers, _ = self.crowd(stage)
        stage.send()
        assert sum(len(subscriber.written) for subscriber in subscribers) == DELIVERIES
        await asyncio.sleep(0)
        assert {len(subscriber.written) for subscriber in subscribers} == {1}

    async def test_one_that_fills_up_before_its_turn_is_behind_at_what_it_has(self, stage: Stage) -> None:
        subscribers, subscriptions = self.crowd(stage)
        stage.send()
        subscribers[-1].is_full = True
        subscriptions[-1].filled()
        await asyncio.sleep(0)
        assert not subscriptions[-1].live
        assert [len(subscriber.written) for subscriber in subscribers[-3:]] == [1, 1, 0]

    async def test_one_that_left_and_came_back_has_it_from_its_catch_up(self, stage: Stage) -> None:
        subscribers, subscriptions = self.crowd(stage)
        stage.send()
        stage.lane.fall(subscriptions[-1], 0, "asked")
        again(subscriptions[-1])
        stage.lane.enter(subscriptions[-1])
        await asyncio.sleep(0)
        assert [len(subscriber.written) for subscriber in subscribers[-2:]] == [1, 0]
        stage.send()
        await asyncio.sleep(0)
        assert [len(subscriber.written) for subscriber in subscribers[-2:]] == [2, 1]

    async def test_one_that_came_meanwhile_is_in_the_next_flush(self, stage: Stage) -> None:
        self.crowd(stage)
        stage.send()
        late = Direct()
        stage.join(late)
        stage.send()
        for _ in range(4):
            await asyncio.sleep(0)
        assert len(late.written) == 1

    async def test_small_rooms_go_on_beside_it(self, stage: Stage) -> None:
        self.crowd(stage)
        small, subscriber = Stage(stage.pace), Direct()
        small.join(subscriber)
        stage.send()
        small.send()
        assert subscriber.written == []
        await asyncio.sleep(0)
        assert len(subscriber.written) == 1


class TestWindows:
    async def test_get_what_is_within_them(self, stage: Stage) -> None:
        whole, low, high = Direct(), Direct(), Direct()
        stage.join(whole)
        stage.join(low, floor=3)
        stage.join(high, floor=7)
        stage.change("old", created=1)
        stage.send("newer", created=5)
        counts = [subscriber.written[0].count(b'"update"') for subscriber in (whole, low)]
        assert (counts, high.written) == ([2, 1], [])

    async def test_share_the_bytes_of_all_where_nothing_is_below_them(self, stage: Stage) -> None:
        whole, window = Direct(), Direct()
        stage.join(whole)
        stage.join(window, floor=3)
        stage.send("new", created=9)
        assert window.written[0] is whole.written[0]

    async def test_leave_with_their_siblings_once_they_share(self, stage: Stage) -> None:
        subscriber = Direct()
        window = stage.join(subscriber, floor=3)
        sibling = catching_up(subscriber, stage.wire, "old")
        window.siblings = sibling.siblings = [window, sibling]
        window.has_sibling()
        stage.lane.enter(sibling)
        stage.change("old", created=1)
        stage.send("new", created=9)
        assert [frames.count(b'"update"') for frames in subscriber.written] == [2]
