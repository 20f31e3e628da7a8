"""Checks of windows: the newest items of a group, and older ones from there."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.model import GroupKey
from headwater.storage.base import Page
from headwater.testing.storage.place import Check, G, Place, drop, put

WIDE = 1_000_000
"""Bytes that no window of these checks reaches."""


async def a_window_is_the_newest_items_in_creation_order(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), put("d"), put("b"))
    assert _order(await _window(place, limit=2)) == ["c", "d"]
    assert _order(await _window(place, limit=3)) == ["b", "c", "d"]


async def a_window_tells_whether_there_is_anything_older(place: Place) -> None:
    await place.commit(put("a"), put("b"))
    assert not (await _window(place, limit=1)).complete
    assert (await _window(place, limit=2)).complete
    assert (await _window(place, limit=9)).complete


async def a_window_goes_on_below_its_oldest_item(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), put("d"))
    newest = await _window(place, limit=2)
    older = await _window(place, before=newest.items[0].created, limit=1)
    assert (_order(older), older.complete) == (["b"], False)
    oldest = await _window(place, before=older.items[0].created, limit=5)
    assert (_order(oldest), oldest.complete) == (["a"], True)


async def a_window_is_as_of_the_group_s_version_and_without_deletes(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("b"), put("a"))
    page = await _window(place, limit=5)
    assert (_order(page), page.tombstones, page.through, page.head.version) == (["a"], [], 4, 4)


async def an_item_set_again_after_its_delete_is_the_newest(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("a"), put("a"))
    assert _order(await _window(place, limit=1)) == ["a"]


async def a_window_ends_once_it_passes_its_bytes(place: Place) -> None:
    await place.commit(*[put(name, b'{"text":"%b"}' % (b"x" * 1000)) for name in "abcd"])
    page = await _window(place, limit=9, limit_bytes=1500)
    assert (_order(page), page.complete) == (["c", "d"], False)
    page = await _window(place, before=page.items[0].created, limit=9, limit_bytes=1500)
    assert (_order(page), page.complete) == (["a", "b"], True)
    assert _order(await _window(place, limit=9, limit_bytes=1)) == ["d"]


async def a_window_of_an_unknown_group_is_empty_and_whole(place: Place) -> None:
    store, group = await place.store(), GroupKey("room", "never written")
    page = await store.window(group, before=None, limit=3, limit_bytes=WIDE)
    assert (page.items, page.complete) == ([], True)


def _order(page: Page) -> list[str]:
    return [item.id for item in page.items]


async def _window(place: Place, *, limit: int, before: int | None = None, limit_bytes: int = WIDE) -> Page:
    store = await place.store()
    return await store.window(G, before=before, limit=limit, limit_bytes=limit_bytes)


CHECKS: tuple[Check, ...] = (
    a_window_is_the_newest_items_in_creation_order,
    a_window_tells_whether_there_is_anything_older,
    a_window_goes_on_below_its_oldest_item,
    a_window_is_as_of_the_group_s_version_and_without_deletes,
    an_item_set_again_after_its_delete_is_the_newest,
    a_window_ends_once_it_passes_its_bytes,
    a_window_of_an_unknown_group_is_empty_and_whole,
)
