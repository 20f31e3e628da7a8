"""What a feed does with changes, joins and losses, without a store: stretches are given by hand."""

from __future__ import annotations

from typing import Any

from headwater.clock import Stamps
from headwater.model import Signal
from headwater.protocol.clients.v0 import V0Wire
from headwater.protocol.clients.wire import Stretch
from headwater.streams.fanout.subscription import Subscription
from support.stream_changes import ROOM, History
from support.stream_clock import HandClock
from support.stream_feeds import again, asked_of, catching_up, feed_of
from support.stream_frames import Recorder

RING_BYTES = 100_000


class Stage:
    """A feed, its history, and subscribers that join with what the store would have answered."""

    def __init__(self, ring_bytes: int = RING_BYTES) -> None:
        self.feed = feed_of(ring_bytes=ring_bytes)
        self.wire = V0Wire(Stamps(HandClock()))
        self.history = History()

    def subscription(self, item: str | None = None) -> Subscription:
        return catching_up(Recorder(), self.wire, item, feed=self.feed)

    def read(self, only: str | None = None) -> Stretch:
        """The snapshot that the store would give now."""
        items = [item for item in self.history.items.values() if only in (None, item.id)]
        return Stretch(items, (), self.history.version, self.history.version)

    def join(self, subscription: Subscription, read: Stretch) -> str:
        encoder = self.wire.catch_up(subscription)
        encoder.stretch(read)
        return self.feed.join(subscription, encoder, read)

    def live(self, item: str | None = None) -> Recorder:
        """A new subscriber, live and with its sync forgotten."""
        subscription = self.subscription(item)
        assert self.join(subscription, self.read(item)) == "live"
        recorder = recorder_of(subscription)
        recorder.forget()
        return recorder


def recorder_of(subscription: Subscription) -> Recorder:
    assert isinstance(subscription.subscriber, Recorder)
    return subscription.subscriber


def kinds(recorder: Recorder) -> list[str]:
    return [event["type"] for event in recorder.events]


def ids(event: dict[str, Any]) -> list[str]:
    return [item["id"] for item in event["data"]]


async def test_changes_reach_the_live_in_one_offer_a_flush() -> None:
    stage = Stage()
    recorder = stage.live()
    for change in (stage.history.set("a"), stage.history.set("a"), stage.history.delete("a")):
        stage.feed.change(change)
    assert recorder.offers == []
    stage.feed.flush()
    assert len(recorder.offers) == 1
    assert kinds(recorder) == ["create", "update", "delete"]


async def test_a_joiner_gets_what_happened_since_its_read_within_its_sync() -> None:
    stage = Stage()
    stage.live()
    for name in ("a", "b", "c"):
        stage.feed.change(stage.history.set(name, n=0))
    read = stage.read()
    for change in (stage.history.set("b", n=1), stage.history.delete("a"), stage.history.set("a", n=2)):
        stage.feed.change(change)
    joiner = stage.subscription()
    assert stage.join(joiner, read) == "live"
    [sync] = recorder_of(joiner).events
    assert sync["type"] == "sync"
    assert [(item["id"], item["n"]) for item in sync["data"]] == [("b", 1), ("c", 0), ("a", 2)]


async def test_a_joiner_of_an_item_gets_its_latest_state_in_its_sync() -> None:
    stage = Stage()
    stage.live()
    stage.feed.change(stage.history.set("a", n=0))
    read = stage.read("a")
    for change in (stage.history.set("a", n=1), stage.history.set("b", n=5)):
        stage.feed.change(change)
    joiner = stage.subscription("a")
    assert stage.join(joiner, read) == "live"
    assert recorder_of(joiner).events == [{"type": "sync", "data": {"id": "a", "n": 1}}]


async def test_a_joiner_of_an_item_deleted_since_its_read_gets_null() -> None:
    stage = Stage()
    stage.live()
    stage.feed.change(stage.history.set("a"))
    read = stage.read("a")
    stage.feed.change(stage.history.delete("a"))
    joiner = stage.subscription("a")
    stage.join(joiner, read)
    assert recorder_of(joiner).events == [{"type": "sync", "data": None}]


async def test_what_is_pending_reaches_the_live_before_a_joiner_and_the_joiner_once() -> None:
    stage = Stage()
    earlier = stage.live()
    stage.feed.change(stage.history.set("a"))
    joiner = stage.subscription()
    assert stage.join(joiner, stage.read()) == "live"
    assert kinds(earlier) == ["create"]
    stage.feed.flush()
    assert kinds(recorder_of(joiner)) == ["sync"]
    assert kinds(earlier) == ["create"]


async def test_a_change_that_a_joiner_has_read_already_is_not_sent_to_it_again() -> None:
    stage = Stage()
    change = stage.history.set("a")
    joiner = stage.subscription()
    assert stage.join(joiner, stage.read()) == "live"
    stage.feed.change(change)
    stage.feed.flush()
    assert kinds(recorder_of(joiner)) == ["sync"]


async def test_a_read_ahead_of_the_notices_waits_for_them() -> None:
    stage = Stage()
    stage.live()
    change = stage.history.set("a")
    joiner = stage.subscription()
    assert stage.join(joiner, stage.read()) == "ahead"
    stage.feed.change(change)
    assert stage.join(joiner, stage.read()) == "live"
    assert kinds(recorder_of(joiner)) == ["sync"]


async def test_a_read_older_than_the_ring_is_read_on() -> None:
    stage = Stage(ring_bytes=1500)
    stage.live()
    read = stage.read()
    for n in range(20):
        stage.feed.change(stage.history.set("a", n=n))
    joiner = stage.subscription()
    assert stage.join(joiner, read) == "uncovered"
    assert recorder_of(joiner).offers == []
    assert stage.join(joiner, stage.read()) == "live"


async def test_a_full_joiner_is_refused_and_can_join_later() -> None:
    stage = Stage()
    joiner = stage.subscription()
    recorder_of(joiner).full = True
    assert stage.join(joiner, stage.read()) == "refused"
    assert not joiner.live
    recorder_of(joiner).full = False
    assert stage.join(joiner, stage.read()) == "live"


async def test_a_gap_in_the_versions_sets_everyone_behind_after_what_they_can_have() -> None:
    stage = Stage()
    recorder = stage.live()
    item_recorder = stage.live("a")
    stage.feed.change(stage.history.set("a"))
    stage.history.set("lost")
    stage.feed.change(stage.history.set("b"))
    lost = asked_of(stage.feed)[-2:]
    assert {subscription.wish.item for subscription in lost} == {None, "a"}
    assert not any(subscription.live for subscription in lost)
    stage.feed.flush()
    assert kinds(recorder) == kinds(item_recorder) == ["create"]
    group = next(subscription for subscription in lost if subscription.wish.item is None)
    again(group)
    assert stage.join(group, stage.read()) == "live"
    assert ids(recorder.events[-1]) == ["a", "lost", "b"]


async def test_events_keep_their_place_among_changes() -> None:
    stage = Stage()
    recorder = stage.live()
    stage.feed.change(stage.history.set("a"))
    stage.feed.signal(Signal(ROOM, None, b'{"type":"typing","data":1}'))
    stage.feed.change(stage.history.delete("a"))
    stage.feed.flush()
    assert kinds(recorder) == ["create", "event", "delete"]
    assert recorder.events[1] == {"type": "event", "event": {"type": "typing", "data": 1}}


async def test_an_event_to_an_item_reaches_its_subscribers_and_those_of_the_group() -> None:
    stage = Stage()
    group, same, other = stage.live(), stage.live("a"), stage.live("b")
    stage.feed.signal(Signal(ROOM, "a", b'{"type":"typing","data":1}'))
    stage.feed.flush()
    assert (len(group.events), len(same.events), len(other.events)) == (1, 1, 0)
    assert group.messages[0]["id"] == "a"


async def test_an_event_to_the_group_reaches_subscribers_of_the_group_alone() -> None:
    stage = Stage()
    group, item = stage.live(), stage.live("a")
    stage.feed.signal(Signal(ROOM, None, b'{"type":"typing","data":1}'))
    stage.feed.flush()
    assert (len(group.events), len(item.events)) == (1, 0)
    assert "id" not in group.messages[0]


async def test_events_are_not_replayed_to_those_who_join_later() -> None:
    stage = Stage()
    stage.live()
    stage.feed.signal(Signal(ROOM, None, b'{"type":"typing","data":1}'))
    joiner = stage.subscription()
    stage.join(joiner, stage.read())
    stage.feed.flush()
    assert kinds(recorder_of(joiner)) == ["sync"]


async def test_whoever_left_gets_nothing_more() -> None:
    stage = Stage()
    leaver = stage.subscription()
    stage.join(leaver, stage.read())
    stage.feed.change(stage.history.set("a"))
    leaver.end()
    stage.feed.flush()
    assert kinds(recorder_of(leaver)) == ["sync"]
    assert stage.feed.subscriptions == set()


async def test_each_wire_has_its_own_lane_and_both_are_sent_everything() -> None:
    stage = Stage()
    first = stage.live()
    stage.wire = V0Wire(Stamps(HandClock()))
    second = stage.live()
    stage.feed.change(stage.history.set("a"))
    stage.feed.flush()
    assert kinds(first) == kinds(second) == ["create"]


async def test_stamps_rise_over_sync_and_changes_in_the_order_of_sending() -> None:
    stage = Stage()
    stage.live()
    stage.feed.change(stage.history.set("a"))
    read = stage.read()
    stage.feed.change(stage.history.set("a", n=1))
    joiner = stage.subscription()
    stage.join(joiner, read)
    stage.feed.change(stage.history.set("a", n=2))
    stage.feed.flush()
    stamps = [message["timestamp"] for message in recorder_of(joiner).messages]
    assert stamps == sorted(set(stamps))


async def test_a_read_from_before_a_loss_does_not_pass_for_the_present() -> None:
    stage = Stage()
    stage.live()
    read = stage.read()
    stage.feed.change(stage.history.set("a"))
    stage.feed.begin_anew()
    late = stage.subscription()
    assert stage.join(late, read) == "uncovered"
    assert stage.join(late, stage.read()) == "live"


async def test_a_feed_that_begins_anew_waits_for_a_read_as_new_as_what_is_known() -> None:
    stage = Stage()
    stage.live()
    stale = stage.read()
    stage.history.set("a")
    stage.feed.begin_anew(stage.history.version)
    late = stage.subscription()
    assert stage.join(late, stale) == "uncovered"
    assert stage.join(late, stage.read()) == "live"
