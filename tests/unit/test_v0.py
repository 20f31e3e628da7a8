"""The frames of protocol v0, as the published clients read them, and what a client may send."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.clock import Stamps
from headwater.errors import AccessDenied, ProtocolFault
from headwater.model import Change, GroupKey, Item, Signal, Tombstone
from headwater.protocol.clients.v0 import V0Wire, parse_request
from headwater.protocol.clients.wire import Advance, Stretch
from headwater.streams.fanout.subscription import Subscription
from support.stream_changes import ROOM, History
from support.stream_clock import HandClock
from support.stream_feeds import catching_up
from support.stream_frames import Recorder, messages

ODD_NAMES = ["a:b", "a/b", 'quo"te', "back\\slash", "üñï", "𝄞", " ", "\n", "__proto__", "a:item:b"]


def wire() -> V0Wire:
    return V0Wire(Stamps(HandClock(1_760_000_000.0)))


def one(frames: bytes) -> dict[str, Any]:
    [message] = messages(frames)
    return message


def request(**data: Any) -> str:
    return orjson.dumps({"type": "join", "data": data}).decode()


class TestFrames:
    def test_of_a_change_name_stream_group_and_item_and_carry_the_kind(self) -> None:
        history = History()
        for change in (history.set("a", n=1), history.set("a", n=2), history.delete("a")):
            message = one(wire().change(Advance(change, 1, None)))
            assert message == {
                "timestamp": 1_760_000_000_000.0,
                "streamName": "chat",
                "groupId": "room",
                "id": "a",
                "event": {"type": change.kind, "data": orjson.loads(change.data)},
            }

    def test_of_a_delete_carry_the_item_as_it_was(self) -> None:
        history = History()
        history.set("a", n=1)
        message = one(wire().change(Advance(history.delete("a"), 1, None)))
        assert message["event"]["data"] == {"id": "a", "n": 1}

    def test_of_a_groups_sync_have_no_id_and_keep_the_order(self) -> None:
        items = [Item(name, orjson.dumps({"id": name}), n, n) for n, name in enumerate("ba", 1)]
        message = one(wire().sync_group(ROOM, items))
        assert "id" not in message
        assert message["event"] == {"type": "sync", "data": [{"id": "b"}, {"id": "a"}]}

    def test_of_an_empty_groups_sync_hold_an_empty_list(self) -> None:
        assert one(wire().sync_group(ROOM, []))["event"] == {"type": "sync", "data": []}

    def test_of_an_items_sync_have_the_id_and_null_where_there_is_none(self) -> None:
        message = one(wire().sync_item(ROOM, "a", None))
        assert (message["id"], message["event"]) == ("a", {"type": "sync", "data": None})

    def test_of_an_event_carry_the_users_event_within(self) -> None:
        message = one(wire().signal(1, Signal(ROOM, None, b'{"type":"typing","data":[1]}')))
        assert "id" not in message
        assert message["event"] == {"type": "event", "event": {"type": "typing", "data": [1]}}
        assert one(wire().signal(1, Signal(ROOM, "a", b'{"type":"t","data":1}')))["id"] == "a"

    def test_of_a_refusal_are_events_of_type_error_with_the_code(self) -> None:
        message = one(wire().refusal(ROOM, None, AccessDenied("No.", stream="chat")))
        assert message["event"]["event"] == {
            "type": "error",
            "data": {"code": "STREAM_ACCESS_DENIED", "message": "No.", "stream": "chat"},
        }

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_quote_names_whatever_they_hold(self, name: str) -> None:
        group = GroupKey(name, name)
        change = Change(group, name, "create", 1, 1, orjson.dumps({"id": name}))
        message = one(wire().change(Advance(change, 1, None)))
        assert (message["streamName"], message["groupId"], message["id"]) == (name, name, name)

    def test_take_a_higher_stamp_each(self) -> None:
        shared = wire()
        change = Advance(History().set("a"), 1, None)
        frames = [
            shared.change(change),
            shared.sync_group(ROOM, []),
            shared.signal(1, Signal(ROOM, None, b"{}")),
        ]
        stamps = [one(frame)["timestamp"] for frame in frames]
        assert stamps == sorted(set(stamps))


class TestCatchUps:
    def subscription(self, item: str | None = None) -> Subscription:
        return catching_up(Recorder(), wire(), item)

    def test_fold_all_stretches_into_one_sync_in_creation_order(self) -> None:
        encoder = wire().catch_up(self.subscription())
        data = {name: orjson.dumps({"id": name}) for name in "abc"}
        pages = [
            Stretch([Item("a", data["a"], 1, 1), Item("b", data["b"], 2, 2)], (), 2, 5),
            Stretch([Item("c", data["c"], 3, 3), Item("a", b'{"id":"a","n":4}', 4, 1)], (), 4, 5),
            Stretch([], [Tombstone("b", 5)], 5, 5),
        ]
        assert b"".join(encoder.stretch(page) for page in pages) == b""
        sync = one(encoder.complete())["event"]
        assert sync == {"type": "sync", "data": [{"id": "a", "n": 4}, {"id": "c"}]}

    def test_put_an_item_deleted_and_set_again_last(self) -> None:
        encoder = wire().catch_up(self.subscription())
        encoder.stretch(Stretch([Item("a", b'{"id":"a"}', 1, 1), Item("b", b'{"id":"b"}', 2, 2)], (), 2, 4))
        encoder.stretch(Stretch([Item("a", b'{"id":"a"}', 4, 4)], (), 4, 4))
        assert [item["id"] for item in one(encoder.complete())["event"]["data"]] == ["b", "a"]

    def test_of_an_item_end_in_the_item_or_null(self) -> None:
        encoder = wire().catch_up(self.subscription("a"))
        assert one(encoder.complete())["event"]["data"] is None
        encoder.stretch(Stretch([Item("a", b'{"id":"a"}', 1, 1)], (), 1, 1))
        assert one(encoder.complete())["event"]["data"] == {"id": "a"}

    def test_forget_what_they_gathered_when_they_start_over(self) -> None:
        encoder = wire().catch_up(self.subscription())
        encoder.stretch(Stretch([Item("a", b'{"id":"a"}', 1, 1)], (), 1, 9))
        assert encoder.reset("expired") == b""
        assert one(encoder.complete())["event"]["data"] == []


class TestRequests:
    def test_name_a_group_or_an_item(self) -> None:
        parsed = parse_request(
            request(streamName="s", groupId="g", id="i", subscriptionId="x"), max_id_bytes=100
        )
        assert parsed == ("join", GroupKey("s", "g"), "i", "x")
        parsed = parse_request(
            '{"type": "leave", "data": {"streamName": "s", "groupId": "g", "subscriptionId": "x"}}',
            max_id_bytes=100,
        )
        assert parsed == ("leave", GroupKey("s", "g"), None, "x")

    @pytest.mark.parametrize("absent", [None, ""])
    def test_without_an_item_mean_the_group(self, absent: str | None) -> None:
        parsed = parse_request(request(streamName="s", groupId="g", id=absent), max_id_bytes=100)
        assert (parsed.item, parsed.subscription) == (None, "")

    @pytest.mark.parametrize("text", ["", "hello", "{", "[1", "NaN", '"\\ud800"', "[" * 2000, "\x00"])
    def test_that_are_not_json_are_faults(self, text: str) -> None:
        with pytest.raises(ProtocolFault, match="not JSON"):
            parse_request(text, max_id_bytes=100)

    @pytest.mark.parametrize(
        "message",
        [None, 1, [], {}, {"type": "subscribe"}, {"type": []}, {"type": {"join": 1}}, {"type": None}],
    )
    def test_of_another_kind_are_faults(self, message: object) -> None:
        with pytest.raises(ProtocolFault, match='"join" or "leave"'):
            parse_request(orjson.dumps(message).decode(), max_id_bytes=100)

    @pytest.mark.parametrize("data", [None, 1, [], "s"])
    def test_without_data_are_faults(self, data: object) -> None:
        with pytest.raises(ProtocolFault, match='object "data"'):
            parse_request(orjson.dumps({"type": "join", "data": data}).decode(), max_id_bytes=100)

    @pytest.mark.parametrize("field", ["streamName", "groupId", "id", "subscriptionId"])
    @pytest.mark.parametrize("value", [1, [], {}, True, "x" * 101, "é" * 51])
    def test_with_a_wrong_name_are_faults_that_name_it(self, field: str, value: object) -> None:
        data = {"streamName": "s", "groupId": "g", "id": "i", "subscriptionId": "x", field: value}
        with pytest.raises(ProtocolFault) as caught:
            parse_request(request(**data), max_id_bytes=100)
        assert caught.value.details["field"] == f"data.{field}"

    @given(st.text(max_size=200))
    def test_are_read_or_faults_whatever_comes(self, text: str) -> None:
        try:
            parse_request(text, max_id_bytes=100)
        except ProtocolFault:
            pass
