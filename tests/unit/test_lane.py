"""How a lane fans out: shared bytes, one offer a flush, slices for large rooms, silence of items."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from headwater.clock import Stamps
from headwater.model import Change, Signal
from headwater.protocol.clients.v0 import V0Wire
from headwater.protocol.clients.v1 import V1Wire
from headwater.protocol.clients.wire import Advance
from headwater.streams.fanout.lane import Lane
from headwater.streams.fanout.pace import DELIVERIES, Pace
from headwater.streams.fanout.subscription import Subscription
from support.stream_changes import ROOM, History
from support.stream_clock import HandClock
from support.stream_feeds import again, catching_up
from support.stream_frames import Recorder, messages

TYPING = b'{"type":"typing","data":1}'


class Stage:
    """A lane and the history behind it."""

    def __init__(self) -> None:
        self.wire = V0Wire(Stamps(HandClock()))
        self.lane = Lane(1, self.wire, 0, Pace())
        self.history = History()

    def enter(self, item: str | None = None, speaker: Subscription | None = None) -> Subscription:
        subscription = catching_up(Recorder(), self.wire, item)
        subscription.speaker = speaker
        self.lane.enter(subscription)
        return subscription

    def crowd(self, size: int, item: str | None = None) -> list[Subscription]:
        return [self.enter(item) for _ in range(size)]

    def change(self, change: Change) -> None:
        self.lane.change(Advance(change, 1, None))


def recorder(subscription: Subscription) -> Recorder:
    assert isinstance(subscription.subscriber, Recorder)
    return subscription.subscriber


def kinds(subscription: Subscription) -> list[str]:
    return [event["type"] for event in recorder(subscription).events]


def numbers(subscription: Subscription) -> list[int]:
    return [event["data"]["n"] for event in recorder(subscription).events]


def turns(subscriptions: list[Subscription]) -> list[int]:
    """How many offers each got."""
    return [len(recorder(subscription).offers) for subscription in subscriptions]


async def settle(lane: Lane) -> None:
    """Let a flush that takes several turns come to its end."""
    for _ in range(100):
        await asyncio.sleep(0)
    assert lane.sent == lane.head


class TestAFlush:
    async def test_offers_the_same_bytes_to_everyone_once(self) -> None:
        stage = Stage()
        crowd = stage.crowd(3)
        stage.change(stage.history.set("a", n=1))
        stage.change(stage.history.set("b", n=2))
        stage.lane.flush()
        assert turns(crowd) == [1, 1, 1]
        assert len({id(recorder(subscription).offers[0]) for subscription in crowd}) == 1
        assert numbers(crowd[0]) == [1, 2]

    async def test_without_anything_new_offers_nothing(self) -> None:
        stage = Stage()
        one = stage.enter()
        stage.lane.flush()
        assert turns([one]) == [0]

    async def test_passes_item_subscribers_the_frames_of_their_item_alone(self) -> None:
        stage = Stage()
        a, b = stage.enter("a"), stage.enter("b")
        stage.change(stage.history.set("a", n=1))
        stage.change(stage.history.set("b", n=2))
        stage.change(stage.history.set("a", n=3))
        stage.lane.flush()
        assert (numbers(a), numbers(b)) == ([1, 3], [2])
        assert turns([a, b]) == [1, 1]

    async def test_sets_those_behind_that_refuse_and_spares_the_others(self) -> None:
        stage = Stage()
        slow, slow_item, fast = stage.enter(), stage.enter("a"), stage.enter()
        recorder(slow).full = recorder(slow_item).full = True
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        assert (slow.live, slow_item.live, fast.live) == (False, False, True)
        recorder(slow).full = recorder(slow_item).full = False
        stage.change(stage.history.set("a", n=2))
        stage.lane.flush()
        assert (numbers(slow), numbers(slow_item), numbers(fast)) == ([], [], [1, 2])

    async def test_leaves_a_resuming_subscriber_that_refuses_at_what_it_has(self) -> None:
        stage = Stage()
        stage.lane = Lane(1, V1Wire("epoch"), 0, Pace())
        slow = catching_up(Recorder(), stage.lane.wire)
        stage.lane.enter(slow)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        recorder(slow).full = True
        stage.change(stage.history.set("a", n=2))
        stage.change(stage.history.set("a", n=3))
        stage.lane.flush()
        assert (slow.live, slow.lag and slow.lag.cursor) == (False, 1)

    async def test_follows_the_versions_while_nobody_is_there(self) -> None:
        stage = Stage()
        stage.change(stage.history.set("a", n=1))
        assert (stage.lane.empty, stage.lane.sent) == (True, 1)

    async def test_does_not_send_a_joiner_what_gathered_for_those_before_it(self) -> None:
        stage = Stage()
        first = stage.enter()
        stage.change(stage.history.set("a", n=1))
        stage.lane.leave(first)
        stage.change(stage.history.set("a", n=2))
        stage.lane.flush()
        second = stage.enter()
        stage.change(stage.history.set("a", n=3))
        stage.lane.flush()
        assert (numbers(first), numbers(second)) == ([], [3])

    async def test_stamps_frames_in_the_order_in_which_they_leave(self) -> None:
        stage = Stage()
        one = stage.enter()
        stage.change(stage.history.set("a", n=1))
        stage.lane.signal(Signal(ROOM, None, TYPING))
        sync = messages(stage.wire.sync_item(ROOM, "a", stage.history.items["a"]))[0]
        stage.lane.flush()
        assert [message["timestamp"] > sync["timestamp"] for message in recorder(one).messages] == [
            True,
            True,
        ]


class TestSilence:
    async def test_one_socket_gets_one_frame_for_its_group_and_item(self) -> None:
        stage = Stage()
        group = stage.enter()
        item = stage.enter("a", speaker=group)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        assert (numbers(group), numbers(item)) == ([1], [])

    async def test_ends_when_the_group_subscription_leaves(self) -> None:
        stage = Stage()
        group = stage.enter()
        item = stage.enter("a", speaker=group)
        stage.change(stage.history.set("a", n=1))
        stage.lane.leave(group)
        stage.lane.flush()
        assert (numbers(group), numbers(item)) == ([], [1])

    async def test_ends_when_the_group_subscription_falls_behind(self) -> None:
        stage = Stage()
        group = stage.enter()
        item = stage.enter("a", speaker=group)
        recorder(group).full = True
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        stage.change(stage.history.set("a", n=2))
        stage.lane.flush()
        assert not group.live
        assert numbers(item) == [1, 2]


@pytest.mark.parametrize("item", [None, "a"])
class TestALargeRoom:
    """More subscribers than one slice, to the group or to one item."""

    async def test_is_sent_everything_once_over_several_turns(self, item: str | None) -> None:
        stage = Stage()
        crowd = stage.crowd(2 * DELIVERIES + 20, item)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        assert sum(turns(crowd)) == DELIVERIES
        await asyncio.sleep(0)
        assert sum(turns(crowd)) == 2 * DELIVERIES
        await settle(stage.lane)
        assert set(turns(crowd)) == {1}

    async def test_makes_nothing_for_each_before_its_turn(self, item: str | None) -> None:
        """What lives on counts until the garbage collector walks through all that the process holds."""
        stage = Stage()
        stage.crowd(20 * DELIVERIES, item)
        stage.change(stage.history.set("a", n=1))
        gc.collect()
        gc.disable()
        try:
            before, _, _ = gc.get_count()
            stage.lane.flush()
            after, _, _ = gc.get_count()
        finally:
            gc.enable()
        assert after - before < 10 * DELIVERIES
        await settle(stage.lane)

    async def test_gets_what_comes_meanwhile_afterwards_in_order(self, item: str | None) -> None:
        stage = Stage()
        crowd = stage.crowd(DELIVERIES + 20, item)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        stage.change(stage.history.set("a", n=2))
        stage.lane.signal(Signal(ROOM, "a", TYPING))
        stage.change(stage.history.set("a", n=3))
        stage.lane.flush()
        assert sum(turns(crowd)) == DELIVERIES
        await settle(stage.lane)
        assert {tuple(kinds(subscription)) for subscription in crowd} == {
            ("create", "update", "event", "update")
        }

    async def test_passes_over_those_that_leave_meanwhile(self, item: str | None) -> None:
        stage = Stage()
        crowd = stage.crowd(DELIVERIES + 20, item)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        for subscription in crowd[-10:]:
            stage.lane.leave(subscription)
        await settle(stage.lane)
        assert turns(crowd) == [1] * (DELIVERIES + 10) + [0] * 10

    async def test_spares_those_that_enter_meanwhile_what_their_sync_held(self, item: str | None) -> None:
        stage = Stage()
        crowd = stage.crowd(DELIVERIES + 20, item)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        late = stage.enter(item)
        back = crowd[-1]
        stage.lane.fall(back, 0, "asked")
        again(back)
        stage.lane.enter(back)
        stage.change(stage.history.set("a", n=2))
        stage.lane.flush()
        await settle(stage.lane)
        assert numbers(late) == numbers(back) == [2]
        assert numbers(crowd[0]) == [1, 2]

    async def test_sets_those_behind_that_refuse(self, item: str | None) -> None:
        stage = Stage()
        crowd = stage.crowd(DELIVERIES + 20, item)
        for subscription in (crowd[0], crowd[-1]):
            recorder(subscription).full = True
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        await settle(stage.lane)
        assert [subscription.live for subscription in (crowd[0], crowd[1], crowd[-1])] == [False, True, False]

    async def test_falls_behind_as_a_whole_when_lost_amid_a_flush(self, item: str | None) -> None:
        stage = Stage()
        crowd = stage.crowd(DELIVERIES + 20, item)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        lost = stage.lane.lose()
        assert len(lost) == len(crowd)
        assert not any(subscription.live for subscription in lost)
        await settle(stage.lane)
        assert sum(turns(crowd)) == DELIVERIES
        assert stage.lane.empty

    async def test_stamps_what_waits_above_the_sync_of_one_that_enters_before_it(
        self, item: str | None
    ) -> None:
        stage = Stage()
        stage.crowd(DELIVERIES + 20, item)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        stage.change(stage.history.set("a", n=2))
        sync = messages(stage.wire.sync_item(ROOM, "a", None))[0]
        late = stage.enter(item)
        await settle(stage.lane)
        [update] = recorder(late).messages
        assert update["timestamp"] > sync["timestamp"]


class TestSilenceInALargeRoom:
    async def test_an_item_is_not_passed_over_for_a_group_subscription_that_enters_meanwhile(self) -> None:
        """That one's sync holds the change, but the published client gives a group's sync to its group
        listeners alone."""
        stage = Stage()
        stage.crowd(DELIVERIES + 20)
        item = stage.enter("a")
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        item.speaker = stage.enter()
        stage.change(stage.history.set("a", n=2))
        await settle(stage.lane)
        assert numbers(item) == [1]
        assert numbers(item.speaker) == [2]

    async def test_an_item_speaks_for_itself_when_its_group_subscription_leaves_meanwhile(self) -> None:
        stage = Stage()
        group = stage.crowd(DELIVERIES + 20)[-1]
        item = stage.enter("a", speaker=group)
        stage.change(stage.history.set("a", n=1))
        stage.lane.flush()
        stage.lane.leave(group)
        await settle(stage.lane)
        assert (numbers(group), numbers(item)) == ([], [1])


def published(subscription: Subscription) -> list[dict[str, Any]]:
    return recorder(subscription).messages


class TestEvents:
    async def test_reach_the_group_and_the_item_they_name(self) -> None:
        stage = Stage()
        group, same, other = stage.enter(), stage.enter("a"), stage.enter("b")
        stage.lane.signal(Signal(ROOM, "a", TYPING))
        stage.lane.flush()
        assert [len(published(one)) for one in (group, same, other)] == [1, 1, 0]

    async def test_to_nobody_are_gone(self) -> None:
        stage = Stage()
        stage.lane.signal(Signal(ROOM, None, TYPING))
        late = stage.enter()
        stage.lane.flush()
        assert published(late) == []
