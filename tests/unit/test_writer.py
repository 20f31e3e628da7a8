"""Reads and writes of streams by name: what is checked, what is kept, what goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import (
    Conflict,
    HeadwaterError,
    InvalidInput,
    SchemaMismatch,
    StoreUnavailable,
    TooLarge,
    UnknownStream,
)
from headwater.model import Item, Origin, Terms
from headwater.streams import snapshot
from headwater.streams.catalog import StreamRules
from support.stream_changes import ROOM
from support.stream_stage import StreamStage, kinds, recorder
from support.stream_store import turns

NOBODY = Origin()


@pytest.fixture
async def stage() -> AsyncGenerator[StreamStage]:
    stage = StreamStage()
    yield stage
    await stage.close()


def data(item: Item | None) -> dict[str, Any]:
    assert item is not None
    return orjson.loads(item.data)


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


class TestSet:
    async def test_answers_the_item_as_stored(self, stage: StreamStage) -> None:
        item = await stage.set("a", n=1)
        assert (item.id, data(item), item.version, item.created) == ("a", {"n": 1, "id": "a"}, 1, 1)
        item = await stage.set("a", n=2)
        assert (item.version, item.created) == (2, 1)

    async def test_lets_the_given_id_win(self, stage: StreamStage) -> None:
        item = await stage.writer.set(*ROOM, "a", b'{"id": "b", "n": 1}', origin=NOBODY)
        assert data(item) == {"id": "a", "n": 1}

    async def test_drops_what_the_old_framework_left(self, stage: StreamStage) -> None:
        item = await stage.writer.set(*ROOM, "a", b'{"__motia": {"type": "x"}, "n": 1}', origin=NOBODY)
        assert data(item) == {"id": "a", "n": 1}

    async def test_takes_back_what_get_gave(self, stage: StreamStage) -> None:
        await stage.set("a", n=1)
        item = await stage.writer.get(*ROOM, "a")
        assert item is not None
        again = await stage.writer.set(*ROOM, "a", item.data, origin=NOBODY)
        assert again.data == item.data

    async def test_has_begun_when_it_returns(self, stage: StreamStage) -> None:
        for n in range(5):
            stage.writer.set(*ROOM, "a", orjson.dumps({"n": n}), origin=NOBODY)
        assert data(await stage.set("b")) == {"id": "b"}
        assert data(await stage.writer.get(*ROOM, "a"))["n"] == 4

    @pytest.mark.parametrize("value", [b"1", b"null", b"[]", b'"text"', b"true"])
    async def test_refuses_what_is_no_object(self, stage: StreamStage, value: bytes) -> None:
        with pytest.raises(SchemaMismatch, match="must be an object"):
            await stage.writer.set(*ROOM, "a", value, origin=NOBODY)

    @pytest.mark.parametrize("value", [b"", b"{", b"NaN", b"\xff", b'{"a": "\\ud800"}'])
    async def test_refuses_what_is_not_json(self, stage: StreamStage, value: bytes) -> None:
        with pytest.raises(InvalidInput, match="not JSON"):
            await stage.writer.set(*ROOM, "a", value, origin=NOBODY)

    @pytest.mark.parametrize("depth", [300, 900, 2000])
    async def test_refuses_what_nests_too_deep_to_be_kept(self, stage: StreamStage, depth: int) -> None:
        with pytest.raises(InvalidInput):
            await stage.writer.set(*ROOM, "a", nested(depth), origin=NOBODY)

    async def test_refuses_an_item_above_the_limit(self) -> None:
        stage = StreamStage(max_item_bytes=100)
        with pytest.raises(TooLarge) as caught:
            await stage.set("a", text="x" * 100)
        assert caught.value.details["limit"] == 100
        assert (await stage.set("a", text="x" * 50)).version == 1
        await stage.close()

    async def test_with_if_version_conflicts_unless_it_is_the_current_one(self, stage: StreamStage) -> None:
        item = await stage.writer.set(*ROOM, "a", b"{}", terms=Terms(0), origin=NOBODY)
        with pytest.raises(Conflict) as caught:
            await stage.writer.set(*ROOM, "a", b"{}", terms=Terms(0), origin=NOBODY)
        assert caught.value.details["version"] == item.version
        await stage.writer.set(*ROOM, "a", b"{}", terms=Terms(item.version), origin=NOBODY)

    async def test_of_a_new_id_twice_at_once_gives_one_create_and_one_update(
        self, stage: StreamStage
    ) -> None:
        one = await stage.live()
        await asyncio.gather(stage.set("a", n=1), stage.set("a", n=2))
        await turns()
        assert kinds(one) == ["sync", "create", "update"]


class TestTheSchema:
    @pytest.fixture(autouse=True)
    def declare(self, stage: StreamStage) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        strict = {**schema, "additionalProperties": False}
        stage.catalog.declare(
            [StreamRules(name="chat", schema=schema), StreamRules(name="strict", schema=strict)]
        )

    async def test_is_enforced_on_every_set(self, stage: StreamStage) -> None:
        with pytest.raises(SchemaMismatch) as caught:
            await stage.set("a", n="one")
        for part in ("'chat'", "'room'", "'a'", "n: "):
            assert part in caught.value.message
        assert await stage.writer.get(*ROOM, "a") is None

    async def test_is_enforced_on_what_an_update_leaves(self, stage: StreamStage) -> None:
        await stage.set("a", n=1)
        with pytest.raises(SchemaMismatch) as caught:
            await stage.writer.update(*ROOM, "a", b'{"type": "remove", "path": "n"}', origin=NOBODY)
        assert caught.value.faults[0].field == "n"
        assert data(await stage.writer.get(*ROOM, "a"))["n"] == 1

    async def test_that_is_strict_and_without_id_takes_items(self, stage: StreamStage) -> None:
        item = await stage.writer.set("strict", "g", "a", b'{"n": 1}', origin=NOBODY)
        assert (await stage.writer.set("strict", "g", "a", item.data, origin=NOBODY)).version == 2

    async def test_of_a_new_generation_counts_from_then_on(self, stage: StreamStage) -> None:
        stage.catalog.declare([StreamRules(name="chat")])
        await stage.set("a", n="one")
        with pytest.raises(UnknownStream):
            await stage.writer.set("strict", "g", "a", b'{"n": 1}', origin=NOBODY)


class TestUpdate:
    async def test_makes_a_new_item_or_changes_the_one_there(self, stage: StreamStage) -> None:
        counting = b'[{"type": "increment", "path": "n"}]'
        assert data(await stage.writer.update(*ROOM, "a", counting, origin=NOBODY)) == {"n": 1, "id": "a"}
        assert data(await stage.writer.update(*ROOM, "a", counting, origin=NOBODY)) == {"id": "a", "n": 2}

    async def test_is_atomic_among_many_at_once(self, stage: StreamStage) -> None:
        counting = b'[{"type": "increment", "path": "n"}, {"type": "append", "path": "log", "value": 1}]'
        await asyncio.gather(*[stage.writer.update(*ROOM, "a", counting, origin=NOBODY) for _ in range(100)])
        item = data(await stage.writer.get(*ROOM, "a"))
        assert (item["n"], len(item["log"])) == (100, 100)

    async def test_refused_in_one_operation_changes_nothing(self, stage: StreamStage) -> None:
        await stage.set("a", n=1, text="x")
        operations = b'[{"type": "increment", "path": "n"}, {"type": "increment", "path": "text"}]'
        with pytest.raises(InvalidInput, match="not a number"):
            await stage.writer.update(*ROOM, "a", operations, origin=NOBODY)
        item = await stage.writer.get(*ROOM, "a")
        assert (data(item)["n"], item and item.version) == (1, 1)

    async def test_cannot_change_the_id(self, stage: StreamStage) -> None:
        operations = b'[{"type": "set", "path": "id", "value": "b"}, {"type": "remove", "path": "id"}]'
        assert data(await stage.writer.update(*ROOM, "a", operations, origin=NOBODY)) == {"id": "a"}

    async def test_that_would_leave_too_much_is_refused(self) -> None:
        stage = StreamStage(max_item_bytes=200)
        await stage.set("a", text="x" * 100)
        append = orjson.dumps({"type": "append", "path": "text", "value": "x" * 100})
        with pytest.raises(TooLarge):
            await stage.writer.update(*ROOM, "a", append, origin=NOBODY)
        assert len(data(await stage.writer.get(*ROOM, "a"))["text"]) == 100
        with pytest.raises(TooLarge, match="list of operations"):
            await stage.writer.update(*ROOM, "a", b" " * 300, origin=NOBODY)
        await stage.close()

    async def test_that_nests_too_deep_fails_alone(self, stage: StreamStage) -> None:
        deep = b'{"type": "set", "path": "a", "value": %b}' % nested(200)
        deeper = orjson.dumps({"type": "set", "path": ["a"] * 60, "value": orjson.loads(nested(200))})
        results = await asyncio.gather(
            stage.writer.update(*ROOM, "x", deep, origin=NOBODY),
            stage.writer.update(*ROOM, "y", deeper, origin=NOBODY),
            stage.set("z"),
            return_exceptions=True,
        )
        assert [type(one) for one in results] == [Item, InvalidInput, Item]

    async def test_with_if_version_conflicts_unless_it_is_the_current_one(self, stage: StreamStage) -> None:
        await stage.set("a", n=1)
        counting = b'[{"type": "increment", "path": "n"}]'
        with pytest.raises(Conflict):
            await stage.writer.update(*ROOM, "a", counting, terms=Terms(9), origin=NOBODY)
        await stage.writer.update(*ROOM, "a", counting, terms=Terms(1), origin=NOBODY)

    async def test_of_what_is_not_there_makes_it_unless_it_must_exist(self, stage: StreamStage) -> None:
        await stage.set("a", n=1)
        await stage.delete("a")
        counting = b'[{"type": "increment", "path": "n"}]'
        only = Terms(if_exists=True)
        assert await stage.writer.update(*ROOM, "a", counting, terms=only, origin=NOBODY) is None
        assert await stage.writer.get(*ROOM, "a") is None
        await stage.writer.update(*ROOM, "a", counting, origin=NOBODY)
        assert data(await stage.writer.update(*ROOM, "a", counting, terms=only, origin=NOBODY)) == {
            "n": 2,
            "id": "a",
        }


class TestDelete:
    async def test_answers_the_item_as_it_was(self, stage: StreamStage) -> None:
        await stage.set("a", n=1)
        assert data(await stage.delete("a")) == {"n": 1, "id": "a"}
        assert await stage.writer.get(*ROOM, "a") is None

    async def test_of_nothing_answers_none_and_publishes_nothing(self, stage: StreamStage) -> None:
        one = await stage.live()
        assert await stage.delete("a") is None
        await turns()
        assert kinds(one) == ["sync"]
        assert (await stage.set("b")).version == 1


class TestSend:
    async def test_reaches_the_live_with_type_and_data_alone(self, stage: StreamStage) -> None:
        one = await stage.live()
        sending = b'{"type": "typing", "data": {"who": "Ann"}, "more": 1}'
        assert await stage.writer.send(*ROOM, None, sending, origin=NOBODY) is None
        await turns()
        assert recorder(one).events[-1] == {
            "type": "event",
            "event": {"type": "typing", "data": {"who": "Ann"}},
        }

    async def test_without_data_sends_null(self, stage: StreamStage) -> None:
        one = await stage.live()
        await stage.send("typing")
        await turns()
        assert recorder(one).events[-1]["event"] == {"type": "typing", "data": None}

    @pytest.mark.parametrize("event", [b"1", b"{}", b'{"type": 1}', b'{"type": ""}', b'{"data": 1}', b"{"])
    async def test_refuses_what_is_no_event(self, stage: StreamStage, event: bytes) -> None:
        with pytest.raises(InvalidInput):
            await stage.writer.send(*ROOM, None, event, origin=NOBODY)

    async def test_is_bounded_like_an_item(self) -> None:
        stage = StreamStage(max_item_bytes=100)
        with pytest.raises(TooLarge, match="event"):
            await stage.writer.send(*ROOM, None, orjson.dumps({"type": "x" * 100}), origin=NOBODY)
        with pytest.raises(InvalidInput):
            await StreamStage().writer.send(
                *ROOM, None, b'{"type": "t", "data": %b}' % nested(300), origin=NOBODY
            )
        await stage.close()


class TestNames:
    async def test_of_an_unknown_stream_suggest_a_known_one(self, stage: StreamStage) -> None:
        with pytest.raises(UnknownStream) as caught:
            await stage.writer.set("chta", "g", "a", b"{}", origin=NOBODY)
        assert "'chat'" in caught.value.hint
        with pytest.raises(UnknownStream) as caught:
            await stage.writer.get("zzz", "g", "a")
        assert "'chat'" not in caught.value.hint

    @pytest.mark.parametrize("name", ["", None, 1, "x" * 101, "é" * 51, "\ud800"])
    async def test_of_groups_and_items_must_be_text_within_the_limit(
        self, stage: StreamStage, name: Any
    ) -> None:
        writer = stage.writer
        for group, item in ((name, "a"), ("g", name)):
            with pytest.raises(InvalidInput):
                await writer.set("chat", group, item, b"{}", origin=NOBODY)
            with pytest.raises(InvalidInput):
                await writer.delete("chat", group, item, origin=NOBODY)
            with pytest.raises(InvalidInput):
                await writer.get("chat", group, item)
        with pytest.raises(InvalidInput):
            await writer.get_group("chat", name)
        with pytest.raises(InvalidInput):
            await writer.send("chat", name, None, b'{"type": "t"}', origin=NOBODY)

    @pytest.mark.parametrize(
        "name", ["a:b", "a/b", "a b", "ü", "𝄞", "\x00", "__proto__", "'; drop", "x" * 100]
    )
    async def test_may_be_any_text(self, stage: StreamStage, name: str) -> None:
        item = await stage.writer.set("chat", name, name, b'{"n": 1}', origin=NOBODY)
        assert data(item)["id"] == name
        assert await stage.writer.get("chat", name, name) == item
        assert await stage.writer.get_group("chat", name) == [item]


class TestReads:
    async def test_of_a_group_come_in_creation_order(self, stage: StreamStage) -> None:
        for name in "abc":
            await stage.set(name)
        await stage.set("a", n=1)
        await stage.delete("b")
        await stage.set("b")
        found = await stage.writer.get_group(*ROOM)
        assert [item.id for item in found] == ["a", "c", "b"]

    async def test_of_a_group_that_is_not_there_are_empty(self, stage: StreamStage) -> None:
        assert await stage.writer.get_group(*ROOM) == []

    async def test_of_a_large_group_are_as_of_one_moment(
        self, stage: StreamStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where items go, and are forgotten, between its pages."""
        monkeypatch.setattr(snapshot, "PAGE_BYTES", 1)
        for name in "abcd":
            await stage.set(name)
        stage.store.holds.add("read")
        reading = asyncio.create_task(stage.writer.get_group(*ROOM))
        await turns()
        await stage.store.waiting("read")[0].finish()
        await stage.delete("a")
        await stage.delete("c")
        while await stage.store.sweep(now=1e12, tombstone_age=0):
            pass
        await stage.store.release()
        assert [item.id for item in await asyncio.wait_for(reading, 5)] == ["b", "d"]
        assert [item.id for item in await stage.writer.get_group(*ROOM)] == ["b", "d"]

    async def test_fail_clearly_with_the_store(self, stage: StreamStage) -> None:
        stage.store.faults["get"] = StoreUnavailable("The disk is gone.")
        with pytest.raises(StoreUnavailable):
            await stage.writer.get(*ROOM, "a")


class TestFaultsNobodyWaitsFor:
    async def test_do_not_raise_at_the_call(self, stage: StreamStage) -> None:
        futures = [
            stage.writer.set("nope", "g", "a", b"{}", origin=NOBODY),
            stage.writer.set("chat", "", "a", b"{}", origin=NOBODY),
            stage.writer.update(*ROOM, "a", b'[{"type": []}]', origin=NOBODY),
            stage.writer.update(*ROOM, "a", b'[{"type": "increment", "path": ["l", "9"]}]', origin=NOBODY),
            stage.writer.send(*ROOM, None, b"1", origin=NOBODY),
        ]
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert [isinstance(result, HeadwaterError) for result in results] == [True, True, True, False, True]

    async def test_of_a_write_whose_caller_gave_up_are_no_noise(self, stage: StreamStage) -> None:
        stage.store.holds.add("commit")
        writing = stage.writer.set(*ROOM, "a", b"{}", terms=Terms(9), origin=NOBODY)
        await turns()
        writing.cancel()
        await stage.store.release()
        await turns()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.binary(max_size=50) | JSON.map(orjson.dumps), JSON.map(orjson.dumps))
async def test_anything_at_all_is_kept_or_refused_with_an_error_of_ours(
    value: bytes, operations: bytes
) -> None:
    stage = StreamStage()
    results = await asyncio.gather(
        stage.writer.set(*ROOM, "a", value, origin=NOBODY),
        stage.writer.update(*ROOM, "a", operations, origin=NOBODY),
        stage.writer.send(*ROOM, "a", value, origin=NOBODY),
        return_exceptions=True,
    )
    for result in results:
        assert result is None or isinstance(result, (Item, HeadwaterError))
        assert not isinstance(result, StoreUnavailable)
    await stage.close()
