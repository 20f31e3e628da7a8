"""What protocol v1 costs on the wire, and what a change may do to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.model import Origin
from headwater.protocol.clients import v1
from headwater.protocol.clients.delta import MAX_DIFF_BYTES, MAX_DIFF_VALUES, MAX_OPERATIONS
from headwater.protocol.clients.v1 import V1Wire
from headwater.protocol.clients.wire import Advance
from support.stream_changes import History
from support.stream_frames import messages
from support.stream_store import turns
from support.v1_client import JudgedClient
from support.v1_stage import ROOM, V1Stage

STEPS = 500
ANSWER = ("the quick brown fox jumps over " * 100)[:2500]


@pytest.fixture
async def stage() -> AsyncGenerator[V1Stage]:
    stage = V1Stage()
    yield stage
    await stage.close()


async def follower(stage: V1Stage) -> JudgedClient:
    client = stage.connect()
    client.subscribe(ROOM, None, None)
    await stage.exchange(client)
    return client


def sent(client: JudgedClient) -> int:
    """The bytes that wait for the client, with their frames' heads of at most four."""
    assert client.socket is not None
    return sum(len(payload) + 4 for payload in client.socket.waiting)


async def test_an_answer_written_as_500_growing_sets_costs_at_most_80_kb(stage: V1Stage) -> None:
    await stage.set("a", role="assistant", text="")
    client = await follower(stage)

    for step in range(1, STEPS + 1):
        await stage.set("a", role="assistant", text=ANSWER[: step * len(ANSWER) // STEPS])

    assert sent(client) <= 80_000
    client.read()
    assert client.subscriptions[0].state.items()[0]["text"] == ANSWER


async def test_an_answer_written_as_500_appends_costs_at_most_60_kb(stage: V1Stage) -> None:
    await stage.set("a", role="assistant", text="")
    client = await follower(stage)

    for step in range(STEPS):
        part = ANSWER[step * len(ANSWER) // STEPS : (step + 1) * len(ANSWER) // STEPS]
        operations = [{"type": "append", "path": "text", "value": part}]
        await stage.writer.update(*ROOM, "a", orjson.dumps(operations), origin=Origin())
    await turns()

    assert sent(client) <= 60_000
    client.read()
    assert client.subscriptions[0].state.items()[0]["text"] == ANSWER


async def test_a_change_is_encoded_once_for_all_who_follow(
    stage: V1Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        await follower(stage)
    encoded: list[Advance] = []
    change = V1Wire.change

    def counted(wire: V1Wire, advance: Advance) -> bytes:
        encoded.append(advance)
        return change(wire, advance)

    monkeypatch.setattr(V1Wire, "change", counted)
    await stage.set("a", n=1)

    assert len(encoded) == 1


async def test_no_difference_is_computed_when_nobody_speaks_v1(
    stage: V1Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await follower(stage)
    await stage.set("a", n=1)
    client.disconnect()

    def refuse(*_: Any) -> Any:
        raise AssertionError("computed all the same")

    monkeypatch.setattr(v1, "delta_between", refuse)
    await stage.set("a", n=2)


def change_of(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The message of an item's change."""
    history = History()
    first = history.set("a", **before)
    second = history.set("a", **after)
    (message,) = messages(V1Wire("e").change(Advance(second, 7, first.data)))
    return message


def test_a_changed_member_travels_alone() -> None:
    text = "x" * 100
    message = change_of({"text": text, "n": 1}, {"text": text, "n": 2})

    assert message == {"t": "patch", "f": 7, "v": 2, "i": "a", "o": [["s", ["n"], 2]]}


def test_a_whole_item_travels_where_it_is_shorter() -> None:
    assert change_of({"n": 1}, {"n": 2})["t"] == "set"


def test_above_256_kb_no_difference_is_sought() -> None:
    text = "x" * MAX_DIFF_BYTES

    assert change_of({"text": text, "n": 1}, {"text": text, "n": 2})["t"] == "set"


def test_a_difference_is_sought_among_a_bounded_number_of_values() -> None:
    """A value is looked at one by one; growth of a list in the midst of them is found up to then."""
    many, more = [*range(MAX_DIFF_VALUES // 2)], [*range(2 * MAX_DIFF_VALUES)]

    assert change_of({"list": many}, {"list": [*many, 0]})["o"] == [["a", ["list"], [0]]]
    assert change_of({"list": more}, {"list": [*more, 0]})["t"] == "set"


def test_a_change_in_a_thousand_places_travels_whole() -> None:
    places, text = range(MAX_OPERATIONS + 1), "x" * 100_000
    before, after = ({str(place): n for place in places} | {"text": text} for n in (1, 2))

    assert change_of(before, after)["t"] == "set"
    del before["0"], after["0"]
    assert len(change_of(before, after)["o"]) == MAX_OPERATIONS


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


@pytest.mark.parametrize("depth", [240, 250, 251, 252, 253])
async def test_the_deepest_item_that_can_be_kept_can_be_followed(stage: V1Stage, depth: int) -> None:
    client = await follower(stage)

    await stage.set("a", text="x" * 3000, deep=0)
    await stage.set("a", text="x" * 3000, deep=nested(depth, 1))
    await stage.set("a", text="x" * 3000, deep=nested(depth, 2))
    await stage.set("b", n=1)
    await stage.exchange(client)

    assert [item["id"] for item in client.subscriptions[0].state.items()] == ["a", "b"]
    assert client.subscriptions[0].state.items()[0]["deep"] == nested(depth, 2)
