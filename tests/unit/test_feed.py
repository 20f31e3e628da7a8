"""What a feed does with changes, joins and losses, without a store: stretches are given by hand."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.clock import Stamps
from headwater.model import Head, Signal
from headwater.protocol.clients.v0 import V0Wire
from headwater.protocol.clients.v1 import V1Wire
from headwater.protocol.clients.wire import Stretch
from headwater.storage.base import Page
from headwater.streams.fanout.feed import FRUITLESS_READS
from headwater.streams.fanout.gap import MAX_EARLY, Gap
from headwater.streams.fanout.subscription import Subscription
from support.stream_changes import ROOM, History
from support.stream_clock import HandClock
from support.stream_feeds import again, asked_of, catching_up, feed_of, lagging_of
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


class TestAGap:
    """A change has come that does not follow the last one."""

    def stage(self) -> tuple[Stage, Recorder]:
        stage = Stage()
        stage.wire = V1Wire("e")
        recorder = stage.live()
        stage.feed.change(stage.history.set("a"))
        stage.feed.flush()
        recorder.forget()
        return stage, recorder

    def page(self, stage: Stage, **different: Any) -> Page:
        """What the store tells of the time since the feed's head."""
        head = stage.feed.head or 0
        items = [item for item in stage.history.items.values() if item.version > head]
        gone = [grave for grave in stage.history.graves.values() if grave.version > head]
        version = stage.history.version
        page = Page(sorted(items, key=lambda one: one.version), gone, version, True, Head(version, 0))
        return page._replace(**different)

    def sent(self, recorder: Recorder) -> list[tuple[str, int]]:
        return [(message["t"], message["v"]) for message in recorder.messages]

    async def test_asks_the_store_once_and_sends_nothing(self) -> None:
        stage, recorder = self.stage()
        stage.history.set("lost")
        for name in "bcd":
            stage.feed.change(stage.history.set(name))
        stage.feed.flush()
        assert lagging_of(stage.feed) == [stage.feed]
        assert recorder.offers == []

    async def test_is_closed_for_everyone_by_one_page(self) -> None:
        stage, recorder = self.stage()
        item = stage.live("lost")
        stage.history.set("lost")
        stage.history.delete("a")
        stage.feed.change(stage.history.set("b"))
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert not stage.feed.lags
        assert self.sent(recorder) == [("set", 2), ("gone", 3), ("set", 4)]
        assert self.sent(item) == [("set", 2)]

    async def test_is_closed_by_notices_that_were_out_of_order(self) -> None:
        stage, recorder = self.stage()
        changes = [stage.history.set(name) for name in "bcd"]
        for change in (changes[2], changes[1], changes[2], changes[0]):
            stage.feed.change(change)
        stage.feed.flush()
        assert not stage.feed.lags
        assert self.sent(recorder) == [("set", 2), ("set", 3), ("set", 4)]

    async def test_takes_what_came_after_the_page(self) -> None:
        stage, recorder = self.stage()
        stage.history.set("lost")
        stage.feed.change(stage.history.set("b"))
        page = self.page(stage)
        stage.feed.change(stage.history.set("c"))
        stage.feed.mend(page)
        stage.feed.flush()
        assert (stage.feed.lags, self.sent(recorder)[-1]) == (False, ("set", 4))

    async def test_is_read_on_where_the_page_is_older_than_what_is_known(self) -> None:
        stage, recorder = self.stage()
        stage.history.set("lost")
        page = self.page(stage)
        stage.history.set("too")
        stage.feed.change(stage.history.set("b"))
        stage.feed.mend(page)
        assert stage.feed.lags
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert self.sent(recorder) == [("set", 2), ("set", 3), ("set", 4)]

    async def test_is_read_on_for_as_long_as_each_page_brings_something(self) -> None:
        stage, recorder = self.stage()
        stage.history.set("lost")
        for name in "bcdef"[: FRUITLESS_READS + 2]:
            page = self.page(stage)
            stage.feed.compare(stage.history.set(name).version, certain=True)
            stage.feed.mend(page)
            assert stage.feed.lags
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert not stage.feed.lags
        assert self.sent(recorder) == [("set", version) for version in range(2, stage.history.version + 1)]

    async def test_of_one_item_written_often_leaves_out_what_was_between(self) -> None:
        stage, recorder = self.stage()
        for n in range(5):
            change = stage.history.set("a", n=n)
        stage.feed.change(change)
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert recorder.messages[0]["v"] == 6

    async def test_of_an_item_written_often_after_another_is_closed_by_a_page_too(self) -> None:
        stage, recorder = self.stage()
        stage.history.set("b")
        for n in range(3):
            change = stage.history.set("a", n=n)
        stage.feed.change(change)
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert self.sent(recorder) == [("set", 2), ("set", 5)]

    @pytest.mark.parametrize("late", ["set", "delete"])
    async def test_sends_what_the_notices_would_have_told_and_nothing_twice(self, late: str) -> None:
        told, recorder = self.stage()
        mended, other = self.stage()
        changes = []
        for stage in (told, mended):
            if late == "delete":
                changes = [stage.history.delete("a"), stage.history.set("b")]
            else:
                changes = [stage.history.set("b"), stage.history.delete("a")]
            changes.append(stage.history.set("c", n=1))
        for change in changes:
            told.feed.change(change)
        mended.feed.change(changes[2])
        page = self.page(mended)
        mended.feed.change(changes[0])  # It was only late; the page has it as well.
        mended.feed.mend(page)
        for stage in (told, mended):
            stage.feed.flush()
        assert other.messages == recorder.messages

    async def test_is_not_closed_before_the_newest_of_notices_that_were_out_of_order(self) -> None:
        stage, _ = self.stage()
        changes = [stage.history.set(name) for name in "bc"]
        page = self.page(stage)
        changes += [stage.history.set(name) for name in "de"]
        stage.feed.change(changes[3])
        stage.feed.change(changes[1])
        stage.feed.mend(page)
        assert stage.feed.lags

    async def test_keeps_no_more_of_what_came_early_than_a_bound(self) -> None:
        gap, history = Gap(0), History()
        for _ in range(MAX_EARLY + 5):
            gap.note(history.set("a"))
        assert (len(gap.early), gap.known) == (MAX_EARLY, history.version)

    async def test_whose_states_a_page_cannot_tell_sets_everyone_behind(self) -> None:
        stage, recorder = self.stage()
        stage.history.set("a", n=1)
        stage.history.set("b")
        stage.history.set("c")
        stage.feed.change(stage.history.set("a", n=2))
        stage.feed.change(stage.history.set("b", n=2))
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert (stage.feed.lags, recorder.offers) == (False, [])
        assert [one.state for one in asked_of(stage.feed)][-1:] == ["waiting"]

    async def test_that_set_everyone_behind_waits_for_a_read_as_new_as_the_notices(self) -> None:
        stage, _ = self.stage()
        stage.history.set("a", n=1)
        stage.history.set("b")
        stage.history.set("a", n=2)
        page, stale = self.page(stage), stage.read()
        stage.feed.change(stage.history.set("b", n=2))
        stage.feed.mend(page._replace(complete=False))
        behind = asked_of(stage.feed)[-1]
        again(behind)
        assert stage.join(behind, stale) == "uncovered"
        assert stage.join(behind, stage.read()) == "live"

    @pytest.mark.parametrize(
        "different", [{"complete": False}, {"head": Head(9, 5)}], ids=["too much", "deletes forgotten"]
    )
    async def test_that_a_page_does_not_close_sets_everyone_behind(self, different: dict[str, Any]) -> None:
        stage, recorder = self.stage()
        stage.history.set("lost")
        stage.feed.change(stage.history.set("b"))
        stage.feed.mend(self.page(stage, **different))
        stage.feed.flush()
        assert (stage.feed.lags, recorder.offers) == (False, [])

    async def test_of_which_the_store_knows_nothing_is_given_up(self) -> None:
        stage, _ = self.stage()
        page, read = self.page(stage), stage.read()
        stage.history.set("lost")
        stage.feed.change(stage.history.set("b"))
        for _ in range(FRUITLESS_READS):
            assert stage.feed.lags
            stage.feed.mend(page)
        assert not stage.feed.lags
        behind = asked_of(stage.feed)[-1]
        again(behind)
        assert stage.join(behind, read) == "live", "it goes on from what the store does hold"

    async def test_holds_signals_until_the_writes_before_them_are_out(self) -> None:
        stage, recorder = self.stage()
        stage.history.set("lost")
        stage.feed.change(stage.history.set("b"))
        stage.feed.signal(Signal(ROOM, None, b'{"type":"typing","data":1}'))
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert [message["t"] for message in recorder.messages] == ["set", "set", "event"]

    async def test_lets_those_start_over_whose_wire_cannot_resume(self) -> None:
        stage, recorder = self.stage()
        stage.wire = V0Wire(Stamps(HandClock()))
        old = stage.live()
        stage.history.set("lost")
        stage.feed.change(stage.history.set("b"))
        stage.feed.mend(self.page(stage))
        stage.feed.flush()
        assert self.sent(recorder) == [("set", 2), ("set", 3)]
        assert old.offers == []
        behind = asked_of(stage.feed)[-1]
        again(behind)
        assert stage.join(behind, stage.read()) == "live"
        assert ids(old.events[-1]) == ["a", "lost", "b"]

    async def test_is_no_history_to_resume_from_where_it_begins_at_nothing(self) -> None:
        """A page from nothing tells of no delete."""
        stage = Stage()
        stage.wire = V1Wire("e")
        stage.live()
        stage.history.set("a")
        stage.history.delete("a")
        stage.feed.change(stage.history.set("b"))
        stage.feed.mend(self.page(stage, tombstones=[]))
        assert (stage.feed.head, stage.feed.covers(1), stage.feed.covers(3)) == (3, False, True)


async def test_a_change_that_comes_twice_asks_the_store_nothing() -> None:
    stage = Stage()
    stage.live()
    change = stage.history.set("a")
    for _ in range(2):
        stage.feed.change(change)
    assert lagging_of(stage.feed) == []


class TestComparing:
    async def test_never_takes_back_what_is_known_to_be_missing(self) -> None:
        stage = Stage()
        stage.wire = V1Wire("e")
        stage.live()
        stage.feed.change(stage.history.set("a"))
        stage.history.set("b")
        page = TestAGap().page(stage)
        stage.feed.compare(3, certain=True)
        stage.feed.compare(2, certain=True)
        stage.feed.mend(page)
        assert stage.feed.lags

    async def test_finds_a_last_change_that_no_notice_told_of_at_the_second_time(self) -> None:
        stage = Stage()
        stage.live()
        stage.feed.change(stage.history.set("a"))
        stage.feed.compare(2)
        assert not stage.feed.lags
        stage.feed.compare(2)
        assert stage.feed.lags

    async def test_waits_for_the_notice_of_a_commit_under_way(self) -> None:
        stage = Stage()
        stage.live()
        stage.feed.change(stage.history.set("a"))
        stage.feed.compare(2)
        stage.feed.change(stage.history.set("a"))
        stage.feed.compare(3)
        assert not stage.feed.lags

    async def test_waits_for_nothing_where_notices_are_known_to_be_lost(self) -> None:
        stage = Stage()
        stage.live()
        stage.feed.change(stage.history.set("a"))
        stage.feed.compare(2, certain=True)
        assert stage.feed.lags


async def test_a_read_ahead_of_a_feed_that_nobody_is_live_in_is_where_it_begins() -> None:
    stage = Stage()
    late = stage.history.set("a")
    stage.history.set("b")
    joiner = stage.subscription()
    stage.feed.change(late)
    assert stage.join(joiner, stage.read()) == "live"
