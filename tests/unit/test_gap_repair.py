"""What another process wrote and no notice told of is read from the store, once for all who are live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from random import Random
from typing import cast

import orjson
import pytest

from headwater.errors import StoreUnavailable
from headwater.model import Change, Item, Tombstone, Write
from headwater.storage.base import Head, Page, Store
from headwater.storage.memory import MemoryStore
from headwater.streams.fanout import recovery
from headwater.streams.fanout.feed import Feed
from headwater.streams.fanout.gap import changes_of
from support.ear import Ear
from support.lossy_store import LossyStore
from support.v1_client import JudgedClient
from support.v1_stage import ROOM, V1Stage


class Elsewhere:
    """A server with two followers, and another process that writes to its store."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.store = LossyStore(MemoryStore(), Random(0))
        self.stage = V1Stage(cast(Store, self.store), observer=self.ear)
        self.clients: list[JudgedClient] = []

    async def follow(self) -> None:
        await self.stage.set("a")
        for _ in range(2):
            client = self.stage.connect()
            client.subscribe(ROOM, None, None)
            self.clients.append(client)
        await self.stage.exchange(*self.clients)

    async def write(self, *items: str) -> Change:
        """The other process writes; answers the last change."""
        change = None
        for item in items:
            data = orjson.dumps({"id": item, "g": list(ROOM)})
            (change,) = await self.stage.store.inner.commit([Write(ROOM, item, "set", data)], stamp=0.0)
        assert isinstance(change, Change)
        return change

    async def tell(self, *changes: Change) -> None:
        """Notices come."""
        self.stage.durable.hub.publish(changes)
        await self.stage.exchange(*self.clients)

    def held(self) -> list[list[str]]:
        """The ids that each follower holds."""
        return [[item["id"] for item in client.subscriptions[0].state.items()] for client in self.clients]

    def reasons(self) -> list[str]:
        return [why for _, why in self.ear.of("behind")]


@pytest.fixture
async def elsewhere() -> AsyncGenerator[Elsewhere]:
    made = Elsewhere()
    await made.follow()
    yield made
    await made.stage.close()


async def test_gap_after_gap_is_closed_without_anybody_falling_behind(elsewhere: Elsewhere) -> None:
    for items in (["b", "c"], ["d", "e"]):
        await elsewhere.tell(await elsewhere.write(*items))
    assert elsewhere.held() == [["a", "b", "c", "d", "e"]] * 2
    assert elsewhere.reasons() == ["join", "join"]


async def test_it_is_read_again_while_the_store_cannot_be_read(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RETRY_SECONDS", 0.0)
    elsewhere.stage.store.faults["read"] = StoreUnavailable("not now")
    await elsewhere.tell(await elsewhere.write("b", "c"))
    assert elsewhere.held() == [["a"]] * 2
    del elsewhere.stage.store.faults["read"]
    await elsewhere.stage.exchange(*elsewhere.clients)
    assert elsewhere.held() == [["a", "b", "c"]] * 2
    assert elsewhere.reasons() == ["join", "join"]


async def test_a_repair_that_breaks_sets_everyone_behind(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [RuntimeError("broken")]
    mend = Feed.mend

    def breaking(feed: Feed, page: Page) -> None:
        if faults:
            raise faults.pop()
        mend(feed, page)

    monkeypatch.setattr(Feed, "mend", breaking)
    await elsewhere.tell(await elsewhere.write("b", "c"))
    assert elsewhere.held() == [["a", "b", "c"]] * 2
    assert elsewhere.reasons() == ["join", "join", "gap", "gap"]


async def test_where_the_store_says_that_notices_were_lost_they_are_made_up_for_at_once(
    elsewhere: Elsewhere,
) -> None:
    comparing = asyncio.create_task(elsewhere.stage.durable.hub.keep_comparing(0))
    await elsewhere.write("b")
    await elsewhere.tell()
    assert elsewhere.held() == [["a"]] * 2
    elsewhere.store.on_changes([])
    await elsewhere.stage.exchange(*elsewhere.clients)
    assert elsewhere.held() == [["a", "b"]] * 2
    assert elsewhere.reasons() == ["join", "join"]
    comparing.cancel()


def read(items: dict[str, int], gone: dict[str, int], through: int) -> Page:
    """All of a group as a page: the versions of its items, and of its deletes as far as they are told."""
    kept = [Item(name, b"{}", version, version) for name, version in items.items()]
    return Page(kept, [Tombstone(*one) for one in gone.items()], through, True, Head(through, 0))


@pytest.mark.parametrize(
    ("after", "items", "gone", "through", "told"),
    [
        (3, {"a": 4, "b": 5}, {}, 5, [4, 5]),
        (3, {"b": 5}, {"a": 6}, 6, None),  # At 5 there was an "a" as well.
        (3, {"b": 5}, {}, 5, [5]),  # Nothing lies between what is missing and the last.
        (3, {"a": 4, "c": 7}, {"b": 5}, 7, [4, 5, 7]),
        (0, {"a": 1, "b": 2}, {}, 2, [1, 2]),
        (0, {"a": 1, "b": 2}, {}, 4, [1, 2]),  # What came and went after them is nothing.
        (0, {"b": 2}, {}, 3, None),  # "a" was there at 2, and no delete of it is told.
    ],
)
def test_a_page_is_told_change_by_change_only_where_each_state_in_between_has_been(
    after: int, items: dict[str, int], gone: dict[str, int], through: int, told: list[int] | None
) -> None:
    changes = changes_of(read(items, gone, through), ROOM, after)
    assert (None if changes is None else [change.version for change in changes]) == told
