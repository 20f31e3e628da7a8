"""Subscribers that say themselves when they are full are written to without being asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headwater.clock import Stamps, SystemClock
from headwater.model import Change, GroupKey
from headwater.protocol.frames import Advance
from headwater.protocol.v0 import V0Wire
from headwater.streams.lane import Lane
from headwater.streams.subscription import Subscription

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

    def __init__(self) -> None:
        self.wire = V0Wire(Stamps(SystemClock()))
        self.lane = Lane(1, self.wire, 0)
        self.version = 0

    def join(self, subscriber: Direct, item: str | None = None) -> Subscription:
        subscription = Subscription(subscriber, self.wire, GROUP, item)
        self.lane.enter(subscription)
        return subscription

    def send(self, item: str = "a") -> None:
        self.version += 1
        self.lane.change(Advance(Change(GROUP, item, "update", self.version, 1, b"{}"), 1, None))
        self.lane.flush()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_everyone_gets_every_flush_once(stage: Stage) -> None:
    subscribers = [Direct() for _ in range(3)]
    for subscriber in subscribers:
        stage.join(subscriber)
    stage.send()
    stage.send()
    assert [len(subscriber.written) for subscriber in subscribers] == [2, 2, 2]


def test_one_that_has_said_it_is_full_is_behind_at_the_next_flush_and_gets_nothing(stage: Stage) -> None:
    slow, quick = Direct(), Direct()
    subscription = stage.join(slow)
    stage.join(quick)
    stage.send()
    slow.is_full = True
    stage.lane.filled(subscription)
    assert subscription.live
    stage.send()
    assert not subscription.live
    assert (len(slow.written), len(quick.written)) == (1, 2)


def test_one_that_drained_before_anything_left_stays_live(stage: Stage) -> None:
    subscriber = Direct()
    subscription = stage.join(subscriber)
    stage.lane.filled(subscription)
    stage.lane.drained(subscription)
    stage.send()
    assert subscription.live
    assert len(subscriber.written) == 1


def test_one_that_fills_up_while_it_is_written_to_has_that_flush_and_misses_the_next(stage: Stage) -> None:
    subscriber = Direct()
    subscription = stage.join(subscriber)
    subscriber.then = lambda: stage.lane.filled(subscription)
    stage.send()
    assert subscription.live
    stage.send()
    assert not subscription.live
    assert len(subscriber.written) == 1


def test_one_that_is_full_when_it_enters_gets_nothing(stage: Stage) -> None:
    subscriber = Direct()
    subscriber.is_full = True
    subscription = stage.join(subscriber)
    stage.send()
    assert not subscription.live
    assert subscriber.written == []


def test_one_that_fails_keeps_nothing_from_the_others(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("the transport is closed")

    before, broken, after = Direct(), Direct(fail), Direct()
    for subscriber in (before, broken, after):
        stage.join(subscriber)
    stage.send()
    assert (len(before.written), len(after.written)) == (1, 1)
    assert "failed to take frames" in caplog.text


def test_one_that_left_is_not_written_to(stage: Stage) -> None:
    subscriber = Direct()
    subscription = stage.join(subscriber)
    stage.lane.filled(subscription)
    stage.lane.leave(subscription)
    stage.send()
    assert subscriber.written == []
    assert stage.lane.empty
