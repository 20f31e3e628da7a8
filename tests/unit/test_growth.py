"""What an update tells the wire of its operations."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.config import StreamSettings
from headwater.errors import InvalidInput
from headwater.model import Origin
from headwater.protocol.clients.delta import apply_delta
from headwater.streams.growth import apply_telling
from headwater.streams.operations import parse_operations
from support.ear import Ear
from support.stream_store import turns
from support.v1_stage import ROOM, V1Stage

ITEM: dict[str, Any] = {
    "id": "a",
    "text": "ab",
    "n": 1,
    "list": [{"t": "x", "l": []}],
    "o": {"k": 1},
    "none": None,
}


def told(*operations: dict[str, Any]) -> Any:
    return apply_telling(orjson.loads(orjson.dumps(ITEM)), parse_operations(orjson.dumps(operations)))[1]


@pytest.mark.parametrize(
    ("operation", "delta"),
    [
        ({"type": "append", "path": "text", "value": "c"}, [["a", ["text"], "c"]]),
        ({"type": "append", "path": "list.0.t", "value": "y"}, [["a", ["list", 0, "t"], "y"]]),
        ({"type": "append", "path": "list", "value": 1}, [["a", ["list"], [1]]]),
        ({"type": "append", "path": "new", "value": 1}, [["s", ["new"], [1]]]),
        ({"type": "increment", "path": "n", "by": 2}, [["s", ["n"], 3]]),
        ({"type": "set", "path": "o.k", "value": [1]}, [["s", ["o", "k"], [1]]]),
        (
            {"type": "merge", "path": "o", "value": {"k": 2, "m": 3}},
            [["s", ["o", "k"], 2], ["s", ["o", "m"], 3]],
        ),
    ],
)
def test_it_is_what_the_operation_does(operation: dict[str, Any], delta: Any) -> None:
    assert told(operation) == delta


@pytest.mark.parametrize(
    "operation",
    [
        {"type": "set", "path": "", "value": {}},
        {"type": "set", "path": "made.on.the.way", "value": 1},
        {"type": "remove", "path": "n"},
        {"type": "set", "path": "none.k", "value": 1},
    ],
)
def test_of_others_nothing_is_told(operation: dict[str, Any]) -> None:
    assert told(operation) is None


NAMES = "text n list list.0 list.0.t list.0.l list.1 o o.k none new new.0"
PATHS = st.sampled_from(["", *NAMES.split(" ")])
VALUES = st.sampled_from(["c", "", 5, [1], {"k": "v"}, None, [[]]])
KINDS = st.sampled_from(["append", "set", "merge", "increment", "remove"])
OPERATIONS = st.fixed_dictionaries({"type": KINDS, "path": PATHS, "value": VALUES})


@given(st.lists(OPERATIONS, min_size=1, max_size=5))
def test_it_leads_from_the_item_before_to_the_one_after(operations: list[dict[str, Any]]) -> None:
    before = orjson.loads(orjson.dumps(ITEM))
    try:
        after, delta = apply_telling(before, parse_operations(orjson.dumps(operations)))
    except InvalidInput:
        return
    if delta is not None:
        before = orjson.loads(orjson.dumps(ITEM))
        assert apply_delta(before, orjson.loads(orjson.dumps(delta))) == after


@pytest.mark.parametrize("appends", [1, 2])
async def test_an_append_to_a_long_text_travels_as_one(appends: int) -> None:
    stage = V1Stage()
    await stage.set("a", text="x" * 300_000)
    client = stage.connect()
    one = client.subscribe(ROOM, None, None)
    await stage.exchange(client)
    for _ in range(appends):
        growing = b'[{"type": "append", "path": "text", "value": "tok "}]'
        await stage.writer.update(*ROOM, "a", growing, origin=Origin())
    await turns()

    assert client.socket is not None
    assert sum(map(len, client.socket.waiting)) < 1000
    await stage.exchange(client)
    assert one.state.items()[0]["text"].endswith("x" + "tok " * appends)
    await stage.close()


async def test_what_is_no_shorter_than_the_item_is_not_kept() -> None:
    ear = Ear()
    stage = V1Stage(streams=StreamSettings(rings_bytes=5_000), observer=ear)
    await stage.set("a", text="x")
    client = stage.connect()
    client.subscribe(ROOM, None, None)
    await stage.exchange(client)
    long, short = ({"type": "set", "path": "text", "value": text} for text in ("x" * 10_000, "y"))
    await stage.writer.update(*ROOM, "a", orjson.dumps([long, short]), origin=Origin())
    await turns()
    assert ear.limits() == []
    await stage.close()
