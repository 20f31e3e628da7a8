"""The golden frames of protocol v1: what the Python client makes of them, and that the server reads what
clients send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription
from headwater.errors import ProtocolFault, error_of
from headwater.protocol.clients.v1 import V1Wire, event_stream_framing
from headwater.protocol.clients.v1_requests import GiveToken, SendEvent, WriteItem, parse_request
from headwater.server.http.incoming import read_query
from headwater.server.live.stream_target import CANCEL, names_cancel, read_following, read_target
from support.stream_frames import messages

FIXTURES = Path(__file__).parents[2] / "spec" / "fixtures"
STORE = json.loads((FIXTURES / "v1-store.json").read_text())
EVENTS = json.loads((FIXTURES / "v1-events.json").read_text())
CLIENT = json.loads((FIXTURES / "v1-client.json").read_text())
ASKS = json.loads((FIXTURES / "v1-asks.json").read_text())


def subscribe(store: ClientStore, wanted: dict[str, Any]) -> Subscription:
    return store.subscribe(
        wanted["stream"],
        wanted["group"],
        wanted.get("id"),
        limit=wanted.get("limit"),
        state=wanted.get("state"),
    )


@pytest.mark.parametrize("case", STORE, ids=lambda case: case["name"])
def test_what_is_received_becomes_the_state(case: dict[str, Any]) -> None:
    events: list[Any] = []

    def told(_: Subscription, what: str, value: Any) -> None:
        if what == "event":
            events.append(value)

    store = ClientStore(told)
    store.connected()
    subscription = subscribe(store, case["subscription"])
    for message in case["received"]:
        store.received(orjson.dumps(message))
    state = subscription.state
    assert state.items() == case["items"]
    assert state.live == case["live"]
    assert state.version == case.get("version", state.version)
    assert state.floor == case.get("floor", state.floor)
    assert events == case.get("events", [])
    assert (subscription.error or {}).get("code") == case.get("error")
    if "sent" in case:
        assert [orjson.loads(text) for text in store.outbox] == case["sent"]


@pytest.mark.parametrize("case", CLIENT, ids=lambda case: case["name"])
def test_a_client_sends(case: dict[str, Any]) -> None:
    store = ClientStore(renew=lambda: case.get("renews", False))
    store.connected()
    sent: list[Any] = []
    answered: list[Any] = []
    subscription = None

    def written(error: dict[str, Any] | None, version: int) -> None:
        answered.append(version if error is None else error["code"])

    def settled(error: dict[str, Any] | None) -> None:
        answered.append(error and error["code"])

    for verb, *arguments in case["do"]:
        if verb == "subscribe":
            subscription = subscribe(store, arguments[0])
        elif verb == "received":
            store.received(orjson.dumps(arguments[0]))
        elif verb == "more":
            assert subscription
            store.more(subscription, arguments[0])
        elif verb == "state":
            assert subscription
            store.set_state(subscription, arguments[0])
        elif verb == "cancel":
            assert subscription
            item = arguments[0] if arguments else None
            store.cancel(subscription, item, settled)
        elif verb == "write":
            store.write(arguments[0], waits=arguments[1], written=written)
        elif verb == "auth":
            store.auth(arguments[0], settled)
        elif verb == "unsubscribe":
            assert subscription
            store.unsubscribe(subscription)
        else:
            getattr(store, verb.replace(" ", "_"))(*arguments)
        sent += [orjson.loads(text) for text in store.outbox]
        store.outbox.clear()
    assert sent == case["sent"]
    assert answered == case.get("answered", [])


@pytest.mark.parametrize("case", CLIENT, ids=lambda case: case["name"])
def test_the_server_reads_what_clients_send(case: dict[str, Any]) -> None:
    for message in case["sent"]:
        request = parse_request(json.dumps(message), max_id_bytes=1000)
        named = "sub" if "sub" in message else "ask"
        assert getattr(request, named) == message[named]


def meant(request: WriteItem | SendEvent | GiveToken) -> dict[str, Any]:
    """A request as the golden frames tell it."""
    told = {name: value for name, value in request._asdict().items() if name != "ask"}
    for name in ("body", "event"):
        if name in told:
            told[name] = orjson.loads(told[name]) if told[name] else None
    return json.loads(json.dumps(told))


@pytest.mark.parametrize("case", [case for case in ASKS if "means" in case], ids=lambda case: case["name"])
def test_the_server_reads_what_is_asked_without_a_subscription(case: dict[str, Any]) -> None:
    request = parse_request(json.dumps(case["asks"]), max_id_bytes=1000)
    assert isinstance(request, WriteItem | SendEvent | GiveToken)
    assert (request.ask, meant(request)) == (case["asks"]["ask"], case["means"])


@pytest.mark.parametrize("case", [case for case in ASKS if "fault" in case], ids=lambda case: case["name"])
def test_the_server_refuses_what_is_not_asked_well(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolFault) as refused:
        parse_request(json.dumps(case["asks"]), max_id_bytes=1000)
    assert refused.value.details["field"] == case["fault"]
    for told in case.get("told", ()):
        assert messages(V1Wire("e").fault(refused.value)) == [told]


def answer(told: dict[str, Any]) -> bytes:
    """What the server encodes for a message of the golden frames."""
    wire = V1Wire("e")
    if told["t"] == "ok":
        return wire.done(told["ask"], told.get("v"))
    if told["t"] == "expiring":
        return wire.expiring(told["in"])
    error = error_of({name: told[name] for name in told if name not in ("t", "sub", "ask", "ended")})
    assert error is not None
    if told["t"] == "revoked":
        return wire.revoked(told["sub"], error)
    if "ask" in told:
        return wire.refused(error, None, told["ask"])
    return wire.fault(error, told["sub"], ended=told["ended"])


@pytest.mark.parametrize("case", [case for case in ASKS if "told" in case], ids=lambda case: case["name"])
def test_the_server_answers_what_was_asked_without_a_subscription(case: dict[str, Any]) -> None:
    assert [message for told in case["told"] for message in messages(answer(told))] == case["told"]


@pytest.mark.parametrize("case", EVENTS["requests"], ids=lambda case: case["name"])
def test_the_server_reads_what_a_client_asks_of_event_streams(case: dict[str, Any]) -> None:
    path, _, query_string = case["asked"][-1].partition("?")
    query = read_query(query_string.encode())
    rest = path.removeprefix("/streams")
    assert names_cancel(rest) == (case["sent"][-1]["t"] == "cancel")
    target = read_target(rest.removesuffix(CANCEL), query, max_id_bytes=1024)
    following = read_following(query, None)
    read = {
        "stream": target.group.stream,
        "group": target.group.group,
        "item": target.item,
        **following._asdict(),
        "cursor": None if following.cursor is None else list(following.cursor),
    }
    assert read == case["begins"]


@pytest.mark.parametrize("case", EVENTS["events"], ids=lambda case: case["name"])
def test_a_message_is_an_event_of_a_stream(case: dict[str, Any]) -> None:
    cursor = case["cursor"] and case["cursor"].encode()
    assert event_stream_framing(orjson.dumps(case["message"]), cursor) == case["bytes"].encode()
