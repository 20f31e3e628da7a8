"""Writes of large items: read, checked and put together in the process beside, since that would hold up the
loop, and in the store's thread the interpreter's lock all the same.

Owns which items are known to be large, and the functions that run beside. Such a write takes its place in the
order of commits when its text is made, so whoever calls lets nothing of the same caller overtake it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, cast

from headwater.aside.runner import Aside
from headwater.heavyjson import LOOP_VALUES, is_heavy
from headwater.model import GroupKey, Item, Origin, Terms
from headwater.schema import Schema
from headwater.storage.base import Store
from headwater.streams.itemtext import Place, Updated, item_text, updated_text
from headwater.streams.limits import Limits
from headwater.streams.operations import parse_operations
from headwater.streams.writer import Writer

_TOLD = struct.Struct(">i")
"""The length of what is told, before it and the item; -1 for nothing."""


class LargeItems:
    """Writes large items of a Writer's streams. `is_large` says which those are."""

    def __init__(self, writer: Writer, store: Store, aside: Aside) -> None:
        self._writer = writer
        self._store = store
        self._aside = aside

    def is_large(self, place: Place, data: bytes | bytearray | memoryview, *, whole: bool) -> bool:
        """Whether a write is to be made beside the loop: for what it brings, which is the whole item or not,
        or for the item that it changes. That an item is large is learnt from its last write."""
        return (len(data) > LOOP_VALUES and is_heavy(bytes(data))) or (
            not whole and place in self._writer.large
        )

    async def set(self, place: Place, data: bytes, *, terms: Terms, origin: Origin) -> Item:
        """See StreamService.set.

        :raises HeadwaterError: as there; or (Overloaded) the text could not be read now.
        """
        given = self._writer.given(place)
        self._writer.limits.check_text("item", data)
        body = await self._aside.run(set_text, data, given)
        made = Updated(body, None)
        write = self._writer.prepare("set", *place, data, terms=terms, origin=origin, made=lambda _: made)
        return cast("Item", await self._writer.commit(write))

    async def update(self, place: Place, operations: bytes, *, terms: Terms, origin: Origin) -> Item | None:
        """See StreamService.update. The item is read, and what comes of it is written if it is the same
        still; else the store's thread does it all over, as for any update.

        :raises HeadwaterError: as there; or (Overloaded) the text could not be read now.
        """
        given = self._writer.given(place)
        self._writer.limits.check_text("list of operations", operations)
        found = await self._store.get(GroupKey(place.stream, place.group), place.item)
        current = None if found is None else found.data
        given |= {"operations": len(operations), "exists": current is not None}
        made = _updated(await self._aside.run(update_text, operations + (current or b""), given))
        write = self._writer.prepare(
            "update", *place, operations, terms=terms, origin=origin,
            made=lambda now: made if now == current else None,
        )  # fmt: skip
        return await self._writer.commit(write)


# --- run in the process beside ---


def set_text(data: bytes, given: Mapping[str, Any]) -> bytes:
    """The item's text, of the data of a set."""
    limits = _limits(given)
    return item_text(limits.decode("item", data), Place(*given["place"]), _schema(given), limits)


def update_text(data: bytes, given: Mapping[str, Any]) -> bytes:
    """What an update comes to: its operations, and behind them the item's text, if there is one."""
    size: int = given["operations"]
    current = data[size:] if given["exists"] else None
    operations = parse_operations(data[:size])
    place = Place(*given["place"])
    body, told = updated_text(current, operations, place, _schema(given), _limits(given))
    return b"".join((_TOLD.pack(-1 if told is None else len(told)), told or b"", body))


def _updated(text: bytes) -> Updated:
    (size,) = _TOLD.unpack_from(text)
    begin = _TOLD.size + max(size, 0)
    return Updated(text[begin:], None if size < 0 else text[_TOLD.size : begin])


def _schema(given: Mapping[str, Any]) -> Schema | None:
    return None if given["schema"] is None else Schema(given["schema"])


def _limits(given: Mapping[str, Any]) -> Limits:
    return Limits(**given["limits"])
