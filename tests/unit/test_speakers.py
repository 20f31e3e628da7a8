"""Which subscription of a socket speaks for which."""

from __future__ import annotations

import pytest

from headwater.model import GroupKey
from headwater.protocol.clients.v1 import V1Wire
from headwater.server.live.speakers import Speakers
from headwater.streams.fanout.subscription import Subscription
from support.stream_feeds import catching_up, feed_of
from support.stream_frames import Recorder

ROOM, OTHER = GroupKey("chat", "room"), GroupKey("chat", "other")
SOCKET, WIRE = Recorder(), V1Wire("e")


@pytest.fixture
def speakers() -> Speakers:
    return Speakers()


def add(
    speakers: Speakers, item: str | None = None, limit: int | None = None, group: GroupKey = ROOM
) -> Subscription:
    subscription = catching_up(SOCKET, WIRE, item, feed=feed_of(group), limit=limit)
    speakers.add(subscription)
    return subscription


def test_the_whole_group_speaks_for_items_and_windows_whoever_came_first(speakers: Speakers) -> None:
    item = add(speakers, "a")
    whole = add(speakers)
    window = add(speakers, limit=5)

    assert item.speaker is window.speaker is whole
    assert whole.speaker is None


def test_a_window_speaks_for_nobody(speakers: Speakers) -> None:
    window = add(speakers, limit=5)
    item = add(speakers, "a")

    assert item.speaker is window.speaker is None


def test_of_two_whole_groups_the_first_speaks(speakers: Speakers) -> None:
    first, second = add(speakers), add(speakers)

    assert (first.speaker, second.speaker) == (None, first)


def test_when_it_ends_the_next_one_speaks(speakers: Speakers) -> None:
    first, second, item = add(speakers), add(speakers), add(speakers, "a")
    speakers.remove(first)

    assert second.speaker is None
    assert item.speaker is second


def test_when_the_last_one_ends_each_speaks_for_itself(speakers: Speakers) -> None:
    whole, item = add(speakers), add(speakers, "a")
    speakers.remove(whole)

    assert item.speaker is None


def test_groups_have_nothing_to_do_with_each_other(speakers: Speakers) -> None:
    add(speakers)

    assert add(speakers, "a", group=OTHER).speaker is None


def test_those_of_one_group_know_each_other_as_long_as_they_live(speakers: Speakers) -> None:
    first, second = add(speakers, "a"), add(speakers, limit=3)
    assert first.shares
    assert list(first.siblings) == list(second.siblings) == [first, second]

    speakers.remove(second)
    assert not first.shares


def test_to_forget_what_was_never_added_does_nothing(speakers: Speakers) -> None:
    speakers.remove(catching_up(SOCKET, WIRE))


def test_a_socket_that_ends_ends_all_of_them_and_forgets_them(speakers: Speakers) -> None:
    ended = [add(speakers), add(speakers, "a"), add(speakers, limit=5, group=OTHER)]

    speakers.end()

    assert [one.state for one in ended] == ["closed"] * 3
    assert add(speakers, "a").speaker is None
