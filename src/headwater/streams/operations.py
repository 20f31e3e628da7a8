"""The operations of `update`: set, merge, increment, decrement, append, remove. Owns their meaning; pure, no
I/O.

An operation is an object with `type` and `path`. A path is a dotted text ("progress.done", "lines.0") or a
list of exact names, and "" (or []) is the whole item. What lies on the way is made as needed; an operation
that meets a value of the wrong kind is refused and none of its siblings takes effect.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from math import isfinite
from typing import Any, NamedTuple

import orjson

from headwater.errors import InvalidInput
from headwater.jsonvalue import is_list, is_object
from headwater.streams.halves import joined, read_halves, to_append, without_signs

MAX_OPERATIONS = 1000
MAX_DEPTH = 64
_INDEX_DIGITS = 18  # No list is longer, and Python refuses to read numbers of thousands of digits.


class Operation(NamedTuple):
    """One operation, checked: `path` as exact names, `text` the JSON text of what it brings (for remove:
    null)."""

    type: str
    path: tuple[str, ...]
    text: bytes

    def value(self) -> Any:
        """What it brings, made anew: a later operation may change it in place, and the store may apply them
        all a second time."""
        return orjson.loads(self.text)


def parse_operations(text: bytes) -> list[Operation]:
    """Decode and check a JSON list of operations (one alone is taken as a list of it).

    :raises InvalidInput: naming the operation's index and what it needs.
    """
    raw = _read(text)
    raw = [raw] if is_object(raw) else raw
    if not is_list(raw) or not raw or len(raw) > MAX_OPERATIONS:
        raise InvalidInput(f"update takes a list of 1 to {MAX_OPERATIONS} operations.", hint=_SHAPE)
    return [_parse(index, operation) for index, operation in enumerate(raw)]


def _read(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return read_halves(text)
    except ValueError as fault:
        raise InvalidInput(f"The operations are not JSON: {fault}.") from None


_MEMBERS = ("type", "path", "value", "by")
"""One with another member is refused: whoever misspelt the path would have the whole item set."""

_SHAPE = 'For example [{"type": "increment", "path": "count", "by": 1}].'


def _parse(index: int, raw: Any) -> Operation:
    """One operation as it was sent.

    `remove` needs no value; `increment` and `decrement` take a number, from "by" or else from
    "value", and 1 without either; all others need a "value", which may be null.
    """
    kind: Any = raw.get("type") if is_object(raw) else None
    if not isinstance(kind, str) or kind not in _APPLY:
        known = ", ".join(_APPLY)
        raise InvalidInput(
            f"Operation {index} has the type {kind!r}; known are {known}.", hint=_SHAPE, index=index
        )
    unknown = next((name for name in raw if name not in _MEMBERS), None)
    if unknown is not None:
        near = get_close_matches(unknown, _MEMBERS, n=1)
        hint = f'Is "{near[0]}" meant?' if near else _SHAPE
        raise InvalidInput(f'Operation {index} ({kind}) has no "{unknown[:100]}".', hint=hint, index=index)
    path = _path(index, raw.get("path", ""))
    if kind == "remove":
        return Operation(kind, path, b"null")
    if kind in ("increment", "decrement"):
        value = raw.get("by", raw.get("value", 1))
        if not _is_number(value):
            raise InvalidInput(f'Operation {index} ({kind}) needs a number in "by".', index=index)
    elif "value" not in raw:
        raise InvalidInput(f'Operation {index} ({kind}) needs a "value".', index=index)
    else:
        value = raw["value"]
    try:
        keep = to_append if kind == "append" and isinstance(value, str) else without_signs
        return Operation(kind, path, keep(value))
    except orjson.JSONEncodeError as fault:
        raise InvalidInput(
            f'The "value" of operation {index} cannot be kept: {fault}.', index=index
        ) from None


def _path(index: int, raw: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        parts = tuple(raw.split(".")) if raw else ()
    elif is_list(raw) and all(type(part) in (str, int) for part in raw):
        parts = tuple(str(part) for part in raw)
    else:
        raise InvalidInput(f'The "path" of operation {index} must be a text or a list of names.', index=index)
    if len(parts) > MAX_DEPTH:
        raise InvalidInput(f'The "path" of operation {index} is deeper than {MAX_DEPTH}.', index=index)
    return parts


def apply_operations(value: dict[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """The item after all operations, in order. The given one is used up: it may be changed in place.

    :raises InvalidInput: as `apply_to_value`, or the item is an object no more.
    """
    return checked_object(apply_to_value(value, operations))


def checked_object(value: Any) -> dict[str, Any]:
    """What operations have made of an item.

    :raises InvalidInput: it is an object no more.
    """
    if not is_object(value):
        raise InvalidInput("An item must stay an object; the operations made it something else.")
    return value


def apply_to_value(value: Any, operations: list[Operation]) -> Any:
    """Any JSON value after all operations, in order; None may become whatever the first one makes it. The
    given value is used up: it may be changed in place.

    :raises InvalidInput: an operation met a value of the wrong kind; nothing may be kept of the result.
    """
    root: dict[str, Any] = {"": value}
    for operation in operations:
        holder, key = _locate(root, operation)
        if holder is not None:
            _APPLY[operation.type](holder, key, operation)
    return root[""]


Holder = dict[str, Any] | list[Any]


def _locate(root: dict[str, Any], operation: Operation) -> tuple[Holder | None, Any]:
    """The holder and key that the path names. Objects on the way are made, except for a remove, which then
    has nothing to do (None)."""
    holder: Holder = root
    key: Any = ""
    for part in operation.path:
        child: Any = _look(holder, key)
        if child is None:
            if operation.type == "remove":
                return None, ""
            child = {}
            holder[key] = child
        if is_list(child):
            holder, key = child, _index(operation, child, part)
        elif is_object(child):
            holder, key = child, part
        else:
            raise _refused(operation, f"{part!r} lies inside a {_kind(child)}, not an object or a list")
    return holder, key


def _look(holder: Holder, key: Any) -> Any:
    return holder.get(key) if isinstance(holder, dict) else holder[key]


def _index(operation: Operation, holder: list[Any], part: str) -> int:
    found = int(part) if len(part) <= _INDEX_DIGITS and part.isascii() and part.isdigit() else len(holder)
    if found >= len(holder):
        raise _refused(operation, f"{part!r} is no index into a list of {len(holder)}")
    return found


def _set(holder: Holder, key: Any, operation: Operation) -> None:
    holder[key] = operation.value()


def _merge(holder: Holder, key: Any, operation: Operation) -> None:
    current: Any = _look(holder, key)
    if current is None:
        current = dict[str, Any]()
    brought = operation.value()
    if not is_object(current) or not is_object(brought):
        raise _refused(operation, "merge joins two objects")
    holder[key] = {**current, **brought}


def _increment(holder: Holder, key: Any, operation: Operation) -> None:
    current = _look(holder, key)
    current = 0 if current is None else current
    if not _is_number(current):
        raise _refused(operation, f"there is a {_kind(current)}, not a number")
    by = operation.value()
    result = current + by if operation.type == "increment" else current - by
    if not (-(2**63) <= result < 2**64 if isinstance(result, int) else isfinite(result)):
        raise _refused(operation, "the result is too large for a number in JSON")
    holder[key] = result


def _append(holder: Holder, key: Any, operation: Operation) -> None:
    current = _look(holder, key)
    brought = operation.value()
    if isinstance(current, str) and isinstance(brought, str):
        holder[key] = joined(current, brought)
    elif is_list(current):
        current.append(joined("", brought) if isinstance(brought, str) else brought)
    elif current is None:
        holder[key] = joined("", brought) if isinstance(brought, str) else [brought]
    else:
        raise _refused(operation, f"a {_kind(brought)} cannot be appended to a {_kind(current)}")


def _remove(holder: Holder, key: Any, operation: Operation) -> None:
    if isinstance(holder, list):
        del holder[key]
    elif not operation.path:
        holder[key] = {}
    else:
        holder.pop(key, None)


_APPLY: dict[str, Callable[[Holder, Any, Operation], None]] = {
    "set": _set,
    "merge": _merge,
    "increment": _increment,
    "decrement": _increment,
    "append": _append,
    "remove": _remove,
}


def _refused(operation: Operation, reason: str) -> InvalidInput:
    path = ".".join(operation.path)
    return InvalidInput(f"{operation.type} at {path or 'the item'!r} is refused: {reason}.", path=path)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    if value is None:
        return "null"
    return "object" if is_object(value) else "list" if is_list(value) else "number"
