"""What an item's text is: its value, checked, with its id inside and without what the old framework left.
Pure, so that it is made on the loop, in the store's thread, or for a large item in the process beside."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from headwater.errors import InvalidInput, SchemaMismatch
from headwater.jsonvalue import is_object, text_to_keep
from headwater.schema import Schema, check_item
from headwater.streams.growth import Told, apply_telling
from headwater.streams.limits import Limits
from headwater.streams.operations import Operation, checked_object

_OLD_MARK = "__motia"
"""A key that the old framework put into items that it handed out; it comes back in sets and is dropped."""


class Place(NamedTuple):
    """Where an item is."""

    stream: str
    group: str
    item: str


AnyPlace = tuple[str, str, str]
"""A Place, or the same without the name, which would be made anew for each write."""


class Updated(NamedTuple):
    """An item's text after an update, and what is told of it (see `growth.py`), where that is shorter."""

    body: bytes
    told: bytes | None


def item_text(value: Any, place: AnyPlace, schema: Schema | None, limits: Limits) -> bytes:
    """The text of an item.

    :raises SchemaMismatch: the value is no object, or breaks the schema.
    :raises InvalidInput: JSON cannot hold it.
    :raises TooLarge: it is larger than items may be, or (TooComplex) holds more.
    """
    stream, group, item = place
    if not is_object(value):
        raise SchemaMismatch(f"An item of stream {stream!r} must be an object.", [], stream=stream, id=item)
    value.pop(_OLD_MARK, None)
    value["id"] = item
    try:
        body = text_to_keep(value)
    except orjson.JSONEncodeError as fault:
        raise InvalidInput(f"Item {item!r} of stream {stream!r} cannot be kept: {fault}.") from None
    limits.check_text("item", body)
    check_item(schema, value, stream=stream, group=group, item=item)
    return body


def updated_text(
    current: bytes | None,
    operations: list[Operation],
    place: AnyPlace,
    schema: Schema | None,
    limits: Limits,
) -> Updated:
    """An item after an update, from its text before; None where it was not there.

    :raises HeadwaterError: as `item_text`; or an operation does not fit.
    """
    value: dict[str, Any] = {} if current is None else orjson.loads(current)
    after, delta = apply_telling(value, operations)
    body = item_text(checked_object(after), place, schema, limits)
    return Updated(body, _text(delta, len(body)))


def _text(delta: Told | None, most: int) -> bytes | None:
    """What is told of an update: nothing where it changed a member that is put right when the item is
    written, nor where it is no shorter than the item, of `most` bytes: nobody would be sent it."""
    if not delta or any(path[0] in ("id", _OLD_MARK) for _, path, *_ in delta):
        return None
    try:
        text = text_to_keep(delta)
    except orjson.JSONEncodeError:
        return None  # Operations nest deeper than the item, which may be at the encoder's limit already.
    return text if len(text) < most else None
