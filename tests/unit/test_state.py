"""State: values of any kind under a group and a key, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from headwater.clock import Stamps
from headwater.config import Settings
from headwater.errors import Conflict, HeadwaterError, InvalidInput, StoreUnavailable, TooLarge
from headwater.model import PLAIN, Change, GroupKey, Origin, Terms
from headwater.storage.base import Store
from headwater.storage.open import open_store
from headwater.streams import state as state_module
from headwater.streams.catalog import Catalog
from headwater.streams.commits import CommitQueue, Published
from headwater.streams.expiry import Expiry
from headwater.streams.limits import Limits
from headwater.streams.state import STATE, STATE_STREAM, StateService, StateValue
from support.stream_clock import HandClock

WHO = Origin("step", "trace")
VALUES = [
    None,
    False,
    True,
    0,
    0.0,
    -1,
    1.5,
    "",
    "text",
    [],
    [None],
    {},
    {"data": 1},
    {"id": "x", "value": 2},
]


class Stage:
    """State on a real store, without anything above it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = HandClock()
        self.published: list[Published] = []
        stamps = Stamps(self.clock, store.stamp)
        self.queue = CommitQueue(store, stamps, self.published.extend, max_pending_bytes=100_000_000)
        self.expiry = Expiry(Catalog(own=[STATE_STREAM]), store, self.queue, self.clock)
        limits = Limits(max_item_bytes=100_000, max_id_bytes=100)
        self.state = StateService(store, self.queue, limits, piece=10, clock=self.clock)

    async def set(self, group: str, key: str, value: Any, terms: Terms = PLAIN) -> Any:
        return read(await self.state.set(group, key, orjson.dumps(value), terms=terms, origin=WHO))

    async def update(self, group: str, key: str, *operations: Any, terms: Terms = PLAIN) -> Any:
        text = orjson.dumps(operations)
        return read(await self.state.update(group, key, text, terms=terms, origin=WHO))

    async def delete(self, group: str, key: str, terms: Terms = PLAIN) -> Any:
        return read(await self.state.delete(group, key, terms=terms, origin=WHO))

    async def get(self, group: str, key: str) -> Any:
        return read(await self.state.get(group, key))

    async def group(self, group: str) -> list[tuple[str, Any]]:
        return [(value.key, read(value)) for value in await self.state.get_group(group)]


def read(value: StateValue | None) -> Any:
    return None if value is None else orjson.loads(value.text)


@pytest.fixture(params=["memory:", "sqlite:data.db"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Stage]:
    settings = Settings(project=tmp_path)
    store = await open_store(replace(settings, storage=replace(settings.storage, url=request.param)))
    stage = Stage(store)
    yield stage
    await stage.queue.close()
    await store.close()


@pytest.mark.parametrize("value", VALUES)
async def test_any_json_value_comes_back_as_it_was(stage: Stage, value: Any) -> None:
    assert await stage.set("g", 'a "key" / ü', value) == value
    kept = await stage.state.get("g", 'a "key" / ü')
    assert kept is not None
    assert read(kept) == value
    assert type(read(kept)) is type(value)
    assert await stage.group("g") == [('a "key" / ü', value)]
    assert await stage.delete("g", 'a "key" / ü') == value
    assert await stage.state.get("g", 'a "key" / ü') is None


async def test_what_is_missing_is_nothing(stage: Stage) -> None:
    assert await stage.state.get("g", "k") is None
    assert await stage.state.delete("g", "k", origin=WHO) is None
    assert await stage.group("g") == []
    assert await stage.state.groups() == []
    await stage.state.clear("g", origin=WHO)


async def test_a_group_gives_its_values_in_the_order_of_creation(stage: Stage) -> None:
    for key in ("c", "a", "b"):
        await stage.set("g", key, key)
    await stage.set("g", "c", "again")
    await stage.set("gg", "other", 1)
    await stage.delete("g", "a")
    await stage.set("g", "a", "new")
    assert await stage.group("g") == [("c", "again"), ("b", "b"), ("a", "new")]


async def test_a_large_group_is_read_whole_while_others_delete(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "PAGE_ITEMS", 7)
    await asyncio.gather(*(stage.set("g", f"{n:03}", n) for n in range(100)))
    reading = asyncio.create_task(stage.state.get_group("g"))
    doomed = [f"{n:03}" for n in range(100) if n % 10 == 0]
    await asyncio.gather(*(stage.delete("g", key) for key in doomed))
    found = [value.key for value in await reading]
    assert [key for key in found if key not in doomed] == [
        f"{n:03}" for n in range(100) if f"{n:03}" not in doomed
    ]


async def test_groups_are_listed_in_pages(stage: Stage) -> None:
    for name in ("b", "a", "ü", "a/b", "c"):
        await stage.set(name, "k", 1)
    await stage.delete("c", "k")
    assert await stage.state.groups() == ["a", "a/b", "b", "ü"]
    assert await stage.state.groups(limit=2) == ["a", "a/b"]
    assert await stage.state.groups(after="a/b", limit=2) == ["b", "ü"]
    for limit in (0, -1, 1001):
        with pytest.raises(InvalidInput, match="1 to 1000"):
            await stage.state.groups(limit=limit)


async def test_update_applies_operations_to_whatever_is_there(stage: Stage) -> None:
    count = {"type": "increment", "path": "", "by": 2}
    assert await stage.update("g", "n", count) == 2
    assert await stage.update("g", "n", count) == 4
    assert await stage.update("g", "list", {"type": "append", "path": "", "value": 1}) == [1]
    assert await stage.update("g", "list", {"type": "append", "path": "", "value": 2}) == [1, 2]
    assert await stage.update("g", "text", {"type": "append", "path": "", "value": "a"}) == "a"
    assert await stage.update("g", "o", {"type": "set", "path": "a.b", "value": 1}) == {"a": {"b": 1}}
    assert await stage.update("g", "o", {"type": "merge", "path": "", "value": {"c": 2}}) == {
        "a": {"b": 1}, "c": 2,
    }  # fmt: skip
    assert await stage.update("g", "o", {"type": "remove", "path": "a"}) == {"c": 2}
    assert await stage.update("g", "o", {"type": "set", "path": "", "value": None}) is None
    assert await stage.group("g") == [("n", 4), ("list", [1, 2]), ("text", "a"), ("o", None)]


async def test_updates_at_once_lose_nothing(stage: Stage) -> None:
    add = orjson.dumps([{"type": "increment", "path": "n"}])
    await asyncio.gather(*(stage.state.update("g", "k", add, origin=WHO) for _ in range(200)))
    assert await stage.get("g", "k") == {"n": 200}


async def test_an_update_that_does_not_fit_changes_nothing(stage: Stage) -> None:
    await stage.set("g", "k", "text")
    with pytest.raises(InvalidInput, match="not a number"):
        await stage.update("g", "k", {"type": "increment", "path": ""})
    assert await stage.get("g", "k") == "text"


async def test_terms_are_those_of_streams(stage: Stage) -> None:
    await stage.set("g", "lock", "mine", Terms(if_version=0))
    with pytest.raises(Conflict) as caught:
        await stage.set("g", "lock", "yours", Terms(if_version=0))
    version = caught.value.details["version"]
    assert await stage.set("g", "lock", "yours", Terms(if_version=version)) == "yours"
    with pytest.raises(Conflict):
        await stage.delete("g", "lock", Terms(if_version=version))

    add = {"type": "increment", "path": ""}
    once = Terms(key="job-1")
    assert await stage.update("g", "n", add, terms=once) == 1
    assert await stage.update("g", "n", add, terms=once) == 1
    assert await stage.get("g", "n") == 1


async def test_a_value_goes_when_its_time_has_come(stage: Stage) -> None:
    await stage.set("g", "brief", 1, Terms(ttl=10))
    await stage.set("g", "lasting", 1)
    stage.clock.time += 11
    await stage.expiry.once()
    assert await stage.group("g") == [("lasting", 1)]


async def test_clear_takes_a_small_group_at_once(stage: Stage) -> None:
    for n in range(10):
        await stage.set("g", str(n), n)
    await stage.set("other", "k", 1)
    stage.published.clear()
    await stage.state.clear("g", origin=WHO)
    gone = [one for one in stage.published if isinstance(one, Change)]
    assert [(one.kind, one.origin) for one in gone] == [("delete", WHO)] * 10
    assert await stage.group("g") == []
    assert await stage.state.groups() == ["other"]


async def test_clear_takes_a_large_group_in_pieces(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "PAGE_ITEMS", 7)
    await asyncio.gather(*(stage.set("g", str(n), n) for n in range(95)))
    await stage.state.clear("g", origin=WHO)
    assert await stage.group("g") == []


async def test_a_write_names_who_made_it(stage: Stage) -> None:
    await stage.set("g", "k", 1)
    (change,) = stage.published
    assert isinstance(change, Change)
    assert (change.group, change.id, change.origin) == (GroupKey(STATE, "g"), "k", WHO)


async def test_what_comes_and_goes_leaves_nothing_behind(stage: Stage) -> None:
    for n in range(100):
        await stage.set("g", str(n), n)
        await stage.delete("g", str(n))
    page = await stage.store.read(GroupKey(STATE, "g"), after=0, limit_bytes=1_000_000)
    assert (page.items, page.tombstones) == ([], [])


@pytest.mark.parametrize("name", ["", "x" * 101, "\ud800", 5, None])
async def test_a_group_and_a_key_are_names(stage: Stage, name: Any) -> None:
    wrong = [
        stage.state.set("g", name, b"1", origin=WHO),
        stage.state.set(name, "k", b"1", origin=WHO),
        stage.state.update("g", name, b"[]", origin=WHO),
        stage.state.delete(name, "k", origin=WHO),
        stage.state.get("g", name),
        stage.state.get_group(name),
        stage.state.clear(name, origin=WHO),
    ]
    for outcome in await asyncio.gather(*wrong, return_exceptions=True):
        assert isinstance(outcome, InvalidInput)


async def test_what_is_too_large_or_no_json_is_refused(stage: Stage) -> None:
    with pytest.raises(TooLarge, match="The value is 100002 bytes"):
        await stage.set("g", "k", "x" * 100_000)
    await stage.set("g", "k", "x" * 99_998)
    with pytest.raises(TooLarge):
        await stage.update("g", "k", {"type": "append", "path": "", "value": "x"})
    with pytest.raises(InvalidInput, match="not JSON"):
        await stage.state.set("g", "k", b"{", origin=WHO)
    with pytest.raises(InvalidInput, match="ttl"):
        await stage.set("g", "k", 1, Terms(ttl=-1))
    assert await stage.get("g", "k") == "x" * 99_998


async def test_writes_have_begun_when_they_return(stage: Stage) -> None:
    begun = [stage.state.set("g", "k", b"%d" % n, origin=WHO) for n in range(50)]
    assert read(await begun[-1]) == 49
    assert await stage.get("g", "k") == 49


async def test_a_stopping_server_refuses(stage: Stage) -> None:
    await stage.queue.close()
    with pytest.raises(StoreUnavailable) as caught:
        await stage.set("g", "k", 1)
    assert isinstance(caught.value, HeadwaterError)
