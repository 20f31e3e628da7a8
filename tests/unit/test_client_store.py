"""All that one client is subscribed to, over one connection after the other."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from headwater.client.store import ClientStore, Subscription


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
    client.hears({"t": "error", "sub": 1, "code": "STREAM_UNKNOWN", "message": "No.", "ended": True})

    assert one.error == {"code": "STREAM_UNKNOWN", "message": "No."}
    client.store.disconnected()
    client.store.connected()
    assert client.says() == []


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
