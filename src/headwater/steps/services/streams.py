"""The service `streams`: what `ctx.streams` does. Owns its methods and how their members are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headwater.errors import InvalidInput
from headwater.model import Item, Origin
from headwater.protocol.workers.messages import Message
from headwater.steps.services.service import NOTHING, Method, Running, Service, Value, data_of, terms_of
from headwater.streams.itemtext import Place
from headwater.streams.large import LargeItems
from headwater.streams.service import StreamService


def stream_service(streams: StreamService, large: LargeItems | None = None) -> Service:
    """The methods of `streams`, on these streams. `large` makes the writes that are too much for the loop."""

    def set_item(call: Message, origin: Origin) -> Running:
        return streams.set(*_place(call), data_of(call), terms=terms_of(call), origin=origin)

    def update(call: Message, origin: Origin) -> Running:
        return streams.update(*_place(call), data_of(call), terms=terms_of(call), origin=origin)

    def delete(call: Message, origin: Origin) -> Running:
        return streams.delete(*_place(call), terms=terms_of(call), origin=origin)

    def send(call: Message, origin: Origin) -> Running:
        to = call.header["stream"], call.header["group"], call.header.get("item")
        return streams.send(*to, data_of(call), origin=origin)

    def get(call: Message, _origin: Origin) -> Running:
        return streams.get(*_place(call))

    def get_group(call: Message, _origin: Origin) -> Running:
        return streams.get_group(call.header["stream"], call.header["group"])

    return {
        "set": Method(set_item, _value, larger=None if large is None else _larger(large, whole=True)),
        "update": Method(update, _value, larger=None if large is None else _larger(large, whole=False)),
        "delete": Method(delete, _value),
        "send": Method(send),
        "get": Method(get, _value, reads=True),
        "get_group": Method(get_group, _value, reads=True),
    }


def _larger(large: LargeItems, *, whole: bool) -> Callable[[Message], Method | None]:
    """What takes the calls that are too much for the loop, each alone: it is committed after it begins."""

    def write(call: Message, origin: Origin) -> Running:
        do = large.set if whole else large.update
        return do(Place(*_place(call)), data_of(call), terms=terms_of(call), origin=origin)

    method = Method(write, _value, alone=True)

    def larger(call: Message) -> Method | None:
        if not call.sections or call.header.get("item") is None:
            return None
        place = Place(call.header["stream"], call.header["group"], call.header["item"])
        return method if large.is_large(place, call.sections[0], whole=whole) else None

    return larger


def _place(call: Message) -> tuple[str, str, str]:
    header = call.header
    item = header.get("item")
    if item is None:
        raise InvalidInput("The item id must be a non-empty text, not None.")
    return header["stream"], header["group"], item


def _value(result: Any) -> Value:
    """An item, a list of items, or null."""
    if result is None:
        return NOTHING
    if isinstance(result, Item):
        return Value(result.data, (result.version,))
    items: list[Item] = list(result)
    text = b"[" + b",".join(item.data for item in items) + b"]"
    return Value(text, [item.version for item in items])
