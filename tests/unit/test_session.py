"""What a client of protocol v1 may say, and when."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from headwater.errors import AccessDenied
from headwater.model import GroupKey
from headwater.protocol.clients.session import SessionRules
from headwater.protocol.clients.v1 import V1Wire
from headwater.protocol.clients.v1_requests import Cancel, More, SetState, Subscribe, Unsubscribe
from headwater.protocol.clients.wire import Brought, Cursor, Wish
from support.stream_frames import messages

ROOM = GroupKey("chat", "room")


@pytest.fixture
def rules() -> SessionRules:
    return SessionRules(V1Wire("e"), max_subscriptions=3, max_id_bytes=10)


def say(rules: SessionRules, **members: Any) -> Any:
    return rules.receive(orjson.dumps(members).decode())


def subscribe(rules: SessionRules, sub: Any = 1, **more: Any) -> Any:
    return say(rules, **({"t": "sub", "sub": sub, "stream": "chat", "group": "room"} | more))


def error(answer: Any) -> dict[str, Any]:
    assert isinstance(answer, bytes), answer
    (message,) = messages(answer)
    assert message["t"] == "error"
    assert message["message"]
    return message


def test_a_subscription_tells_all_that_was_asked(rules: SessionRules) -> None:
    asked = subscribe(rules, **{"from": {"epoch": "e", "v": 7}}, limit=5, floor=3, state={"n": 1})

    assert asked == Subscribe(Wish(ROOM, None, 1, 5, Brought(Cursor("e", 7), 3)), {"n": 1})


def test_members_of_null_count_as_left_out(rules: SessionRules) -> None:
    asked = subscribe(rules, id=None, limit=None, floor=None, state=None, **{"from": None})

    assert asked == Subscribe(Wish(ROOM, None, 1), None)


def test_members_that_are_not_known_are_ignored(rules: SessionRules) -> None:
    assert isinstance(subscribe(rules, later="x"), Subscribe)


def test_an_open_subscription_can_be_spoken_of(rules: SessionRules) -> None:
    subscribe(rules)

    assert say(rules, t="more", sub=1, limit=5) == More(1, 5)
    assert say(rules, t="more", sub=1, limit=5, floor=3) == More(1, 5, 3)
    assert say(rules, t="state", sub=1, state={}) == SetState(1, {})
    assert say(rules, t="state", sub=1, state={}, ask=7) == SetState(1, {}, 7)
    assert say(rules, t="cancel", sub=1) == Cancel(1, None, None)
    assert say(rules, t="cancel", sub=1, id="a", ask=7) == Cancel(1, "a", 7)
    assert say(rules, t="unsub", sub=1) == Unsubscribe(1)


@pytest.mark.parametrize("message", [{"t": "more", "limit": 1}, {"t": "state", "state": {}}])
def test_one_that_is_not_open_cannot(rules: SessionRules, message: dict[str, Any]) -> None:
    told = error(say(rules, sub=4, **message))

    assert (told["code"], told["sub"]) == ("INVALID_INPUT", 4)
    assert "ended" not in told


@pytest.mark.parametrize("message", [{"t": "cancel"}, {"t": "state", "state": {}}])
def test_a_question_about_one_that_is_not_open_is_refused_under_its_own_number(
    rules: SessionRules, message: dict[str, Any]
) -> None:
    told = error(say(rules, sub=4, ask=7, **message))

    assert (told["code"], told["sub"], told["ask"]) == ("INVALID_INPUT", 4, 7)
    assert "ended" not in told


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"sub": None}, "sub"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 11}, "id"),
        ({"ask": "7"}, "ask"),
        ({"ask": -1}, "ask"),
    ],
)
def test_a_cancel_with_a_fault_names_the_field_and_its_number_and_ends_nothing(
    rules: SessionRules, members: dict[str, Any], field: str
) -> None:
    told = error(say(rules, **({"t": "cancel", "sub": 1, "ask": 7} | members)))

    assert (told["code"], told["field"], "ended" in told) == ("PROTOCOL_FAULT", field, False)
    assert told.get("ask") == (
        members["ask"] if members.get("ask") == -1 else None if "ask" in members else 7
    )


def test_half_of_a_character_in_a_value_becomes_a_sign_for_it(rules: SessionRules) -> None:
    asked = rules.receive(
        r'{"t":"sub","sub":1,"stream":"chat","group":"g","state":{"a":"\ud83dx\ude00","b":"\ud83d\ude00","c":"\\ud83d"}}'
    )

    assert isinstance(asked, Subscribe)
    assert asked.state == {"a": "\ufffdx\ufffd", "b": "\U0001f600", "c": "\\ud83d"}


@pytest.mark.parametrize("field", ["stream", "group", "id"])
def test_half_of_a_character_in_a_name_is_refused_to_whoever_asked(rules: SessionRules, field: str) -> None:
    message = {"t": "sub", "sub": 4, "stream": "chat", "group": "g", "id": "i"} | {field: "\ud83d"}
    told = error(rules.receive(json.dumps(message)))

    assert (told["code"], told["field"], told["sub"], told["ended"]) == ("PROTOCOL_FAULT", field, 4, True)


def test_to_end_what_is_not_open_is_no_fault(rules: SessionRules) -> None:
    assert say(rules, t="unsub", sub=4) == Unsubscribe(4)


def test_a_number_is_used_once_at_a_time(rules: SessionRules) -> None:
    subscribe(rules)
    told = error(subscribe(rules))
    assert told["code"] == "INVALID_INPUT"
    assert "ended" not in told, "the open one lives on"

    say(rules, t="unsub", sub=1)
    assert isinstance(subscribe(rules), Subscribe)


def test_a_refused_subscription_is_over(rules: SessionRules) -> None:
    subscribe(rules)

    told = error(rules.refused(1, AccessDenied("No.")))

    assert (told["code"], told["sub"], told["ended"]) == ("STREAM_ACCESS_DENIED", 1, True)
    assert isinstance(subscribe(rules), Subscribe)


def test_there_are_only_so_many(rules: SessionRules) -> None:
    for sub in range(3):
        subscribe(rules, sub)

    told = error(subscribe(rules, 3))
    assert (told["code"], told["sub"], told["ended"], told["limit"]) == ("TOO_MANY", 3, True, 3)

    say(rules, t="unsub", sub=0)
    assert isinstance(subscribe(rules, 3), Subscribe)


def test_a_ping_is_answered(rules: SessionRules) -> None:
    assert messages(say(rules, t="ping")) == [{"t": "pong"}]


@pytest.mark.parametrize("kind", ["auth", "set", "update", "delete", "send"])
def test_what_is_asked_without_a_subscription_needs_a_number(rules: SessionRules, kind: str) -> None:
    whole = {"stream": "chat", "group": "room", "id": "a", "d": {}, "ops": [], "e": {}, "token": "t"}

    assert say(rules, t=kind, ask=3, **whole).ask == 3
    for ask in (None, -1, "3", 1.5):
        told = error(say(rules, t=kind, ask=ask, **whole))
        assert (told["code"], told["field"]) == ("PROTOCOL_FAULT", "ask")


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "1", "null", '"sub"', '{"t":', "{}", '{"t":"none"}', '{"t":["sub"]}']
)
def test_what_is_no_message_is_a_fault(rules: SessionRules, text: str) -> None:
    assert error(rules.receive(text))["code"] == "PROTOCOL_FAULT"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"stream": None}, "stream"),
        ({"stream": ""}, "stream"),
        ({"group": 7}, "group"),
        ({"group": "é" * 6}, "group"),
        ({"id": ""}, "id"),
        ({"limit": 0}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": True}, "limit"),
        ({"floor": -1}, "floor"),
        ({"state": []}, "state"),
        ({"from": "e.1"}, "from"),
        ({"from": {"epoch": 1, "v": 1}}, "from.epoch"),
        ({"from": {"epoch": "e"}}, "from.v"),
        ({"from": {"epoch": "e", "v": 2**53}}, "from.v"),
    ],
)
def test_a_subscription_with_a_fault_names_the_field_and_is_over(
    rules: SessionRules, members: dict[str, Any], field: str
) -> None:
    told = error(subscribe(rules, **members))

    assert (told["code"], told["field"], told["sub"], told["ended"]) == ("PROTOCOL_FAULT", field, 1, True)
    assert isinstance(subscribe(rules), Subscribe)


def test_a_faulty_repeat_of_an_open_subscription_does_not_end_it(rules: SessionRules) -> None:
    subscribe(rules)

    assert "ended" not in error(subscribe(rules, limit=0))
    assert isinstance(say(rules, t="unsub", sub=1), Unsubscribe)


@pytest.mark.parametrize("sub", [None, "1", 1.0, True, -1, 2**53])
def test_a_subscription_needs_a_number(rules: SessionRules, sub: Any) -> None:
    assert error(subscribe(rules, sub))["field"] == "sub"
