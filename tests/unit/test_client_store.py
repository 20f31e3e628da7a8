"""All that one client is subscribed to, over one connection after the other."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import pytest

from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription
from headwater.errors import InvalidInput


class Watched:
    """A store and what its watcher was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Subscription, str, Any]] = []
        self.store = ClientStore(lambda *what: self.told.append(what))

    def says(self) -> list[dict[str, Any]]:
        """What the store has to send, taken."""
        said = [orjson.loads(text) for text in self.store.outbox]
        self.store.outbox.clear()
        return said

    def hears(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self.store.received(orjson.dumps(message))

    def whole(self, one: Subscription, feed: int = 1, version: int = 1) -> None:
        """The server answers a subscription with item `a`."""
        sub = one.number
        self.hears(
            {"t": "subscribed", "sub": sub, "f": feed, "epoch": "e"},
            {"t": "page", "sub": sub, "v": version, "items": [[version, version, {"id": "a", "n": 1}]]},
            {"t": "complete", "sub": sub, "v": version},
        )


@pytest.fixture
def client() -> Watched:
    client = Watched()
    client.store.connected()
    return client


def test_what_was_asked_for_before_the_connection_is_asked_for_with_it() -> None:
    client = Watched()
    client.store.subscribe("chat", "room", limit=5, state={"n": 1})
    assert client.says() == []

    client.store.connected()
    (asked,) = client.says()
    assert asked == {
        "t": "sub", "sub": 1, "stream": "chat", "group": "room", "limit": 5, "state": {"n": 1}
    }  # fmt: skip


def test_each_subscription_has_a_number_of_its_own(client: Watched) -> None:
    client.store.subscribe("chat", "room")
    client.store.subscribe("chat", "room", "a")

    assert [(said["sub"], said.get("id")) for said in client.says()] == [(1, None), (2, "a")]


def test_a_lost_connection_resumes_from_the_last_cursor(client: Watched) -> None:
    one = client.store.subscribe("chat", "room")
    client.whole(one)
    client.hears({"t": "set", "f": 1, "v": 2, "c": 2, "d": {"id": "b"}})
    client.store.disconnected()
    assert not one.state.live
    assert len(one.state.items()) == 2

    client.says()
    client.store.connected()
    assert client.says()[0]["from"] == {"epoch": "e", "v": 2}


def test_a_reset_that_was_cut_off_asks_for_everything(client: Watched) -> None:
    one = client.store.subscribe("chat", "room")
    client.whole(one)
    client.hears({"t": "reset", "sub": 1, "reason": "epoch", "epoch": "f"})
    client.store.disconnected()
    client.store.connected()

    assert "from" not in client.says()[-1]
    assert [item["id"] for item in one.state.items()] == ["a"], "what is shown stays"


def test_one_frame_serves_all_who_share_the_feed(client: Watched) -> None:
    first, second = client.store.subscribe("chat", "room"), client.store.subscribe("chat", "room", "a")
    client.whole(first)
    client.whole(second)
    client.hears({"t": "set", "f": 1, "v": 2, "c": 1, "d": {"id": "a", "n": 2}})

    assert first.state.items() == second.state.items() == [{"id": "a", "n": 2}]


def test_a_frame_of_another_feed_is_not_taken(client: Watched) -> None:
    one = client.store.subscribe("chat", "room")
    client.whole(one)
    client.hears({"t": "set", "f": 2, "v": 2, "c": 2, "d": {"id": "b"}})

    assert len(one.state.items()) == 1


def test_a_lost_frame_asks_anew_under_another_number(client: Watched) -> None:
    one = client.store.subscribe("chat", "room")
    client.whole(one)
    client.says()
    client.hears({"t": "patch", "f": 1, "v": 3, "i": "b", "o": []})

    ended, asked = client.says()
    assert ended == {"t": "unsub", "sub": 1}
    assert (asked["sub"], asked["from"]) == (2, {"epoch": "e", "v": 1})
    assert not one.state.live
    client.hears({"t": "complete", "sub": 1, "v": 9})
    assert not one.state.live, "frames of the old number are under way"


def test_a_refused_subscription_is_over(client: Watched) -> None:
    one = client.store.subscribe("chat", "room")
    client.says()
    client.hears({"t": "error", "sub": 1, "code": "STREAM_ACCESS_DENIED", "message": "No.", "ended": True})

    assert one.error == {"code": "STREAM_ACCESS_DENIED", "message": "No."}
    client.hears({"t": "appeared", "sub": 1})
    client.store.disconnected()
    client.store.connected()
    assert client.says() == []


NO_STREAM = {"t": "error", "code": "STREAM_UNKNOWN", "message": "No.", "ended": True}


def test_a_stream_that_is_not_there_is_followed_once_it_is(client: Watched) -> None:
    one = client.store.subscribe("later", "room", limit=5)
    client.says()
    client.hears({**NO_STREAM, "sub": 1})
    assert one.error == {"code": "STREAM_UNKNOWN", "message": "No."}

    client.hears({"t": "appeared", "sub": 1}, {"t": "appeared", "sub": 1})
    assert client.says() == [{"t": "sub", "sub": 2, "stream": "later", "group": "room", "limit": 5}]
    assert one.error is None
    assert not client.store.live
    client.whole(one)
    assert client.store.live
    assert [item["id"] for item in one.state.items()] == ["a"]


def test_a_new_connection_asks_again_for_a_stream_that_was_not_there(client: Watched) -> None:
    one = client.store.subscribe("later", "room")
    client.hears({**NO_STREAM, "sub": 1})
    client.store.disconnected()
    client.store.connected()

    assert [said["sub"] for said in client.says()] == [2]
    client.hears({**NO_STREAM, "sub": 2})
    client.says()
    client.store.unsubscribe(one)
    client.hears({"t": "appeared", "sub": 2})
    assert client.says() == [{"t": "unsub", "sub": 2}], "nobody waits for it now"


def test_an_error_that_does_not_end_it_is_told(client: Watched) -> None:
    one = client.store.subscribe("chat", "room")
    client.hears({"t": "error", "sub": 1, "code": "STORE_UNAVAILABLE", "message": "Later."})

    assert one.error is None
    assert [what for _, what, _ in client.told] == ["error"]


def test_events_reach_whoever_is_live(client: Watched) -> None:
    one = client.store.subscribe("chat", "room", "a")
    event = {"t": "event", "f": 1, "e": {"type": "typing", "data": None}}
    client.hears({"t": "subscribed", "sub": 1, "f": 1, "epoch": "e"}, {**event, "i": "a"})
    client.whole(one)
    client.hears({**event, "i": "a"}, {**event, "i": "b"}, event)

    assert [what for _, what, _ in client.told].count("event") == 1


CIRCULAR: dict[str, Any] = {}
CIRCULAR["self"] = CIRCULAR


@pytest.mark.parametrize("state", [{"n": object()}, CIRCULAR, [1], "ada", {"n": {1}}])
def test_a_presence_state_that_is_no_json_is_refused_where_it_is_given(client: Watched, state: Any) -> None:
    with pytest.raises(InvalidInput):
        client.store.subscribe("chat", "bad", state=state)
    good = client.store.subscribe("chat", "good", state={"n": 1})
    with pytest.raises(InvalidInput):
        client.store.set_state(good, state)
    client.says()
    client.store.disconnected()
    client.store.connected()

    assert [(asked["group"], asked["state"]) for asked in client.says()] == [("good", {"n": 1})]


def test_a_presence_state_is_what_it_was_when_it_was_given(client: Watched) -> None:
    state: dict[str, Any] = {"name": "Grace \ud83d", "whole": "\U0001f600"}
    client.store.subscribe("chat", "room", state=state)
    state["n"] = object()
    client.says()
    client.store.disconnected()
    client.store.connected()

    assert client.says()[0]["state"] == {"name": "Grace \ufffd", "whole": "\U0001f600"}


def test_one_that_is_too_large_ends_its_subscription_alone(client: Watched) -> None:
    picture = {"picture": "x" * 1_100_000}
    big = client.store.subscribe("chat", "big", state=picture)
    good = client.store.subscribe("chat", "good", state={"n": 1})
    client.store.set_state(good, picture)

    assert big.error is not None
    assert big.error["code"] == "TOO_LARGE"
    assert good.error is None
    client.store.disconnected()
    client.store.connected()
    assert [asked["state"] for asked in client.says()] == [{"n": 1}]


@pytest.mark.parametrize("name", ["", "\ud83d", 1.5, float("nan"), True, None, b"a"])
def test_an_id_is_text(client: Watched, name: Any) -> None:
    with pytest.raises(InvalidInput):
        client.store.subscribe("chat", name)
    if name is not None:
        with pytest.raises(InvalidInput):
            client.store.subscribe("chat", "room", name)
    assert client.says() == []


def test_whole_numbers_and_uuids_become_text(client: Watched) -> None:
    made = UUID("12345678-1234-5678-1234-567812345678")
    client.store.subscribe("chat", 7, made)  # pyright: ignore[reportArgumentType]

    (asked,) = client.says()
    assert (asked["group"], asked["id"]) == ("7", str(made))


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, "3"])
def test_a_limit_is_a_whole_number_above_0(client: Watched, limit: Any) -> None:
    with pytest.raises(InvalidInput):
        client.store.subscribe("chat", "room", limit=limit)


@pytest.mark.parametrize(
    "message", [[], 1, {}, {"t": "later"}, {"t": "later", "sub": 1}, {"t": "later", "f": 1}]
)
def test_what_is_not_known_is_ignored(client: Watched, message: Any) -> None:
    client.whole(client.store.subscribe("chat", "room"))
    told = len(client.told)
    client.store.received(orjson.dumps(message))

    assert len(client.told) == told


def test_an_ended_subscription_gets_nothing_more(client: Watched) -> None:
    one = client.store.subscribe("chat", "room")
    client.whole(one)
    client.says()
    client.store.unsubscribe(one)
    client.hears({"t": "set", "f": 1, "v": 2, "c": 2, "d": {"id": "b"}})

    assert client.says() == [{"t": "unsub", "sub": 1}]
    assert len(one.state.items()) == 1


def test_a_group_that_nobody_follows_any_more_leaves_nothing_behind(client: Watched) -> None:
    for feed in range(1, 50):
        one = client.store.subscribe("chat", f"room{feed}")
        client.whole(one, feed)
        client.store.unsubscribe(one)
    assert client.store.feeds == 0
