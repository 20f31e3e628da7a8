"""`ctx.emit`: what user code gives to other steps to do. Owns its arguments; `calls.py` owns the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from headwater.errors import InvalidInput
from headwater.worker.calls import Call, Calls, Service
from headwater.worker.invocation import Invocation
from headwater.worker.members import check_seconds
from headwater.worker.values import as_dict, from_json, to_json

_SHAPE = 'For example ctx.emit({"topic": "order.created", "data": {"id": 1}}).'


_MISUSED = "misused"
"""Marks a call whose arguments are no event; such a call is never sent."""

_MEMBERS = frozenset({"topic", "data", "messageGroupId", "message_group_id", "delay", "key"})


class Emit:
    """`ctx.emit`, for one invocation. Each call begins at once and returns a `Call` to await."""

    __slots__ = ("_calls", "_invocation")

    def __init__(self, calls: Calls, invocation: Invocation) -> None:
        self._calls = calls
        self._invocation = invocation

    def __call__(self, event: Any = None, *more: Any, **named: Any) -> Call:
        """Emit `{"topic", "data", "messageGroupId"?, "delay"?, "key"?}`; gives `{"runs", "repeated"}` once it
        is committed: the ids of the runs by the names of their steps, and whether the key was used before.

        Steps that subscribe to the topic run with the data: each once, and again if it fails. Steps with a
        fifo queue keep the order of each `messageGroupId`. `delay` is in seconds. A repeated `key` does
        nothing, and gives the runs of the first.
        """
        fields = cast("Mapping[str, Any]", event) if isinstance(event, Mapping) else as_dict(event) or {}
        members = {
            "topic": fields.get("topic"),
            "group": fields.get("messageGroupId", fields.get("message_group_id")),
            "delay": fields.get("delay"),
            "key": fields.get("key"),
            "unknown": next((str(name) for name in fields if name not in _MEMBERS), None),
        }
        given = {name: value for name, value in members.items() if value is not None or name == "topic"}
        if more or named or not (fields or isinstance(event, Mapping)):
            given = {"topic": event if isinstance(event, str) else named.get("topic"), _MISUSED: True}
        return self._calls.begin(
            self._invocation, SERVICE, "emit", given, lambda: to_json(fields.get("data"), "data")
        )


def _check(_method: str, members: Mapping[str, Any]) -> None:
    """Keep wrong types on this side: the server would rightly take them for a broken worker."""
    if _MISUSED in members:
        topic = members["topic"] if isinstance(members["topic"], str) else "order.created"
        raise InvalidInput(
            "ctx.emit takes one dict that holds the topic and the data.",
            hint=f'Write ctx.emit({{"topic": "{topic[:100]}", "data": ...}}).',
        )
    if not isinstance(members["topic"], str):
        raise InvalidInput("An event needs a topic that is a text.", hint=_SHAPE)
    for name, shown in (("group", "messageGroupId"), ("key", "key")):
        if not isinstance(members.get(name, ""), str):
            raise InvalidInput(f"{shown} is a text, not {type(members[name]).__name__}.", hint=_SHAPE)
    check_seconds("delay", members.get("delay", 0))


def _read(_members: Mapping[str, Any], text: bytes | None, _versions: list[int]) -> Any:
    return None if text is None else from_json(text)


SERVICE = Service("events", ("topic",), _check, _read)
