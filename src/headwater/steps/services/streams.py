"""The service `streams`: what `ctx.streams` does. Owns its methods and how their members are read."""

from __future__ import annotations

from typing import Any

from headwater.errors import InvalidInput
from headwater.model import Item, Terms
from headwater.steps.services.service import NOTHING, Asked, Method, Running, Service, Value
from headwater.streams.service import StreamService


def stream_service(streams: StreamService) -> Service:
    """The methods of `streams`, on these streams."""

    def set_item(asked: Asked) -> Running:
        return streams.set(*_place(asked), asked.data(), terms=_terms(asked), origin=asked.origin)

    def update(asked: Asked) -> Running:
        return streams.update(*_place(asked), asked.data(), terms=_terms(asked), origin=asked.origin)

    def delete(asked: Asked) -> Running:
        return streams.delete(*_place(asked), terms=_terms(asked), origin=asked.origin)

    def send(asked: Asked) -> Running:
        header = asked.message.header
        to = header["stream"], header["group"], header.get("item")
        return streams.send(*to, asked.data(), origin=asked.origin)

    def get(asked: Asked) -> Running:
        return streams.get(*_place(asked))

    def get_group(asked: Asked) -> Running:
        return streams.get_group(asked.message.header["stream"], asked.message.header["group"])

    return {
        "set": Method(set_item, _value),
        "update": Method(update, _value),
        "delete": Method(delete, _value),
        "send": Method(send),
        "get": Method(get, _value, reads=True),
        "get_group": Method(get_group, _value, reads=True),
    }


def _place(asked: Asked) -> tuple[str, str, str]:
    header = asked.message.header
    item = header.get("item")
    if item is None:
        raise InvalidInput("The item id must be a non-empty text, not None.")
    return header["stream"], header["group"], item


def _terms(asked: Asked) -> Terms:
    header = asked.message.header
    return Terms(header.get("if_version"), header.get("ttl"), header.get("key"))


def _value(result: Any) -> Value:
    """An item, a list of items, or null."""
    if result is None:
        return NOTHING
    if isinstance(result, Item):
        return Value(result.data, (result.version,))
    items: list[Item] = list(result)
    text = b"[" + b",".join(item.data for item in items) + b"]"
    return Value(text, [item.version for item in items])
