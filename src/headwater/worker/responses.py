"""What an API handler returned -> the answer on the wire. Owns what a valid response is; runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

from headwater.errors import HandlerFailed, InvalidInput
from headwater.protocol.workers.messages import Section
from headwater.response_rules import STATUS_RULE, VALUE_HINT, is_name, is_status, is_value
from headwater.worker.items import StreamItem
from headwater.worker.values import clean, to_json

MAX_ITEMS = 16
"""Most stream items that an answer names."""

MAX_SCAN_DEPTH = 8
"""How deep in a body stream items are looked for."""

MAX_SCAN_VALUES = 2000
"""How many values of a body are looked at for stream items: answers can be large."""

_HEADER_HINT = "Write text, a number, a truth value or a list of those; leave out a header that has no value."
_SHAPE = 'A handler returns {"status": 200, "body": ...} and may add "headers".'


class Carried(NamedTuple):
    """A stream item that a body holds, and its version."""

    stream: str
    group: str
    id: str
    version: int


class Answer(NamedTuple):
    """An API step's answer. `items` are the stream items in its body, at most `MAX_ITEMS`."""

    status: int
    headers: Mapping[str, str | list[str]]
    body_kind: Literal["none", "json", "text", "bytes"]
    body: Section
    items: Sequence[Carried] = ()

    def members(self) -> dict[str, Any]:
        """All but the body, as the protocol writes it."""
        items = [list(item) for item in self.items]
        return {
            "status": self.status,
            "headers": self.headers,
            "body_kind": self.body_kind,
            "items": items,
        }


def answer_of(response: Any) -> Answer:
    """The answer that a handler's response stands for.

    :raises HandlerFailed: it is no valid response; the message says what is wrong with it.
    """
    if not isinstance(response, Mapping):
        kind = type(response).__name__
        said = "nothing (None)" if response is None else f"a value of type {kind}"
        raise HandlerFailed(f"The handler returned {said} instead of a response.", hint=_SHAPE)
    fields = cast(Mapping[str, Any], response)
    kind, body = _body(fields)
    items = () if kind != "json" else tuple(_items(fields["body"]))
    return Answer(_status(fields), _headers(fields.get("headers")), kind, body, items)


def _status(fields: Mapping[str, Any]) -> int:
    if "status" not in fields:
        raise HandlerFailed('The handler\'s response has no "status".', hint=_SHAPE)
    given = fields["status"]
    status = _whole(given)
    if not is_status(status):
        said = (
            repr(given) if isinstance(given, int | float | str) else f"a value of type {type(given).__name__}"
        )
        raise HandlerFailed(f'The response\'s "status" is {said:.80}; it must be {STATUS_RULE}.')
    return int(status)


def _whole(status: Any) -> Any:
    """A status that is written as text or with a fraction of zero, as old steps may have it, as a number."""
    if isinstance(status, str) and re.fullmatch(r"[0-9]{3}", status):
        return int(status)
    return int(status) if isinstance(status, float) and status.is_integer() else status


def _headers(headers: Any) -> dict[str, str | list[str]]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise HandlerFailed('The response\'s "headers" are not a dict.')
    return {_name(name): _values(name, value) for name, value in cast(Mapping[Any, Any], headers).items()}


def _name(name: Any) -> str:
    if not isinstance(name, str) or not is_name(name):
        raise HandlerFailed(
            f"The response has a header with the name {name!r:.80}, which HTTP does not allow."
        )
    return name


def _values(name: str, value: Any) -> str | list[str]:
    if isinstance(value, list | tuple):
        return [_value(name, one) for one in cast(list[Any], value)]
    return _value(name, value)


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise HandlerFailed(
            f'The response\'s header "{name}" is a {type(value).__name__}; it must be text.',
            hint=_HEADER_HINT,
        )
    text = clean(value)
    if not is_value(text):
        raise HandlerFailed(
            f'The response\'s header "{name}" holds a character that no header may hold.', hint=VALUE_HINT
        )
    return text


def _body(fields: Mapping[str, Any]) -> tuple[Literal["none", "json", "text", "bytes"], bytes]:
    if "body" not in fields:
        return "none", b""
    body = fields["body"]
    if isinstance(body, str):
        return "text", clean(body).encode()
    if isinstance(body, bytes | bytearray | memoryview):
        return "bytes", bytes(cast(bytes, body))
    try:
        return "json", to_json(body, "body")
    except InvalidInput as error:
        raise HandlerFailed(f"The response cannot be sent: {error.message}", hint=error.hint) from error


def _items(body: Any) -> Iterator[Carried]:
    """The stream items in a body, outermost first, within bounds."""
    level: list[Any] = [body]
    left, found = MAX_SCAN_VALUES, 0
    for _ in range(MAX_SCAN_DEPTH):
        inner: list[Any] = []
        for value in level[:left]:
            if isinstance(value, StreamItem):
                yield Carried(value.stream, value.group, value.item_id, value.version)
                found += 1
                if found == MAX_ITEMS:
                    return
            if isinstance(value, dict):
                inner.extend(cast(dict[Any, Any], value).values())
            elif isinstance(value, list | tuple):
                inner.extend(cast(list[Any], value)[:left])
        left -= len(level)
        if left <= 0 or not inner:
            return
        level = inner
