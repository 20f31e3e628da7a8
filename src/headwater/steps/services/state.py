"""The service `state`: what `ctx.state` does. Owns its methods and how their members are read."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from headwater.errors import InvalidInput
from headwater.model import Origin
from headwater.protocol.workers.messages import Message
from headwater.steps.services.service import NOTHING, Method, Running, Service, Value, data_of, terms_of
from headwater.streams.state import MAX_NAMES, StateService, StateValue


def state_service(state: StateService) -> Service:
    """The methods of `state`, on these values."""

    def get(call: Message, _origin: Origin) -> Running:
        return state.get(*_place(call))

    def get_group(call: Message, _origin: Origin) -> Running:
        return state.get_group(_group(call))

    def groups(call: Message, _origin: Origin) -> Running:
        header = call.header
        return state.groups(after=header.get("after") or "", limit=header.get("limit") or MAX_NAMES)

    def set_value(call: Message, origin: Origin) -> Running:
        return state.set(*_place(call), data_of(call), terms=terms_of(call), origin=origin)

    def set_large(call: Message, origin: Origin) -> Running:
        return state.set_large(*_place(call), data_of(call), terms=terms_of(call), origin=origin)

    large = Method(set_large, _one, alone=True)

    def larger(call: Message) -> Method | None:
        return large if call.sections and state.is_large(call.sections[0]) else None

    def update(call: Message, origin: Origin) -> Running:
        return state.update(*_place(call), data_of(call), terms=terms_of(call), origin=origin)

    def delete(call: Message, origin: Origin) -> Running:
        return state.delete(*_place(call), terms=terms_of(call), origin=origin)

    def clear(call: Message, origin: Origin) -> Running:
        return state.clear(_group(call), origin=origin)

    return {
        "get": Method(get, _one, reads=True),
        "get_group": Method(get_group, _bare, reads=True),
        "list": Method(get_group, _entries, reads=True),
        "groups": Method(groups, _names, reads=True),
        "set": Method(set_value, _one, larger=larger),
        "update": Method(update, _one),
        "delete": Method(delete, _one),
        "clear": Method(clear, alone=True),
    }


def _place(call: Message) -> tuple[str, str]:
    return _group(call), _named(call, "item", "key")


def _group(call: Message) -> str:
    return _named(call, "group", "group")


def _named(call: Message, member: str, what: str) -> str:
    name = call.header.get(member)
    if name is None:
        raise InvalidInput(f"The {what} must be a non-empty text, not None.")
    return name


def _one(result: StateValue | None) -> Value:
    return NOTHING if result is None else Value(result.text, (result.version,))


def _bare(result: Sequence[StateValue]) -> Value:
    return _list_of(result, [value.text for value in result])


def _entries(result: Sequence[StateValue]) -> Value:
    texts = [b'{"key":%b,"value":%b}' % (orjson.dumps(value.key), value.text) for value in result]
    return _list_of(result, texts)


def _list_of(result: Sequence[StateValue], texts: Sequence[bytes]) -> Value:
    return Value(b"[" + b",".join(texts) + b"]", [value.version for value in result])


def _names(result: Sequence[str]) -> Value:
    return Value(orjson.dumps(result))
