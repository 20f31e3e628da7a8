"""The difference of two JSON values, as operations, and their application. Pure; the meaning is WIRE.md
section 5.

Made for state that grows: a text or a list that got longer travels as its tail, at any depth; other changes
travel as the changed members. No attempt at the least possible edit: what is not a growth or a member is set
anew.
"""

from __future__ import annotations

from typing import Any

from headwater.jsonshape import most_values
from headwater.jsonvalue import is_list, is_object

MAX_DIFF_BYTES = 256 * 1024
"""Above this size of either value no difference is sought: parsing and walking both would hold the loop for
milliseconds (about 1 ms for 256 KB on the machine of the design's measurements). What an update has told of
itself (`streams/growth.py`) needs no search, however large the item."""

MAX_DIFF_VALUES = 10_000
"""The same in JSON values, each of which is looked at in Python: 5 ms for as many."""

_SURELY_BYTES = 2 * MAX_DIFF_VALUES
"""Up to which no text holds too many: one of n bytes holds at most n / 2 + 1 values."""

MAX_OPERATIONS = 1000
"""Changes in a thousand places are no growth; the value is as short, and to tell them costs 1 us each."""

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Kinds of values that hold no other values."""

Operation = list[Any]
Path = list[str | int]


def may_differ(old: bytes, new: bytes) -> bool:
    """Whether two values, as JSON texts, are small enough for a difference to be sought."""
    size = max(len(old), len(new))
    if size <= _SURELY_BYTES:
        return True
    if size > MAX_DIFF_BYTES:
        return False
    return all(len(text) <= _SURELY_BYTES or most_values(text) <= MAX_DIFF_VALUES for text in (old, new))


def delta_between(old: Any, new: Any) -> list[Operation] | None:
    """Operations that make `old` into `new`; None where they are more than `MAX_OPERATIONS`. Both are decoded
    JSON values."""
    found: list[Operation] = []
    _differ(old, new, [], found)
    return found if len(found) <= MAX_OPERATIONS else None


def _differ(old: Any, new: Any, path: Path, found: list[Operation]) -> None:
    if is_object(old) and is_object(new):
        _differ_objects(old, new, path, found)
    elif is_list(old) and is_list(new) and 0 < len(old) <= len(new):
        _differ_lists(old, new, path, found)
    elif isinstance(old, str) and isinstance(new, str) and old and new.startswith(old):
        if len(new) > len(old):
            found.append(["a", path, new[len(old) :]])
    elif type(old) is not type(new) or old != new:
        found.append(["s", path, new])


def _differ_objects(old: dict[str, Any], new: dict[str, Any], path: Path, found: list[Operation]) -> None:
    found.extend(["r", [*path, key]] for key in old if key not in new)
    for key, value in new.items():
        if len(found) > MAX_OPERATIONS:
            return
        if key not in old:
            found.append(["s", [*path, key], value])
            continue
        before = old[key]
        if type(value) is type(before) and type(value) in _PLAIN and value == before:
            continue  # As most members: no path is made for them.
        _differ(before, value, [*path, key], found)


def _differ_lists(old: list[Any], new: list[Any], path: Path, found: list[Operation]) -> None:
    for index, value in enumerate(old):
        if len(found) > MAX_OPERATIONS:
            return
        _differ(value, new[index], [*path, index], found)
    if len(new) > len(old):
        found.append(["a", path, new[len(old) :]])


def apply_delta(value: Any, operations: list[Operation]) -> Any:
    """The value after the operations. Nothing of the given value is changed: what changes is copied on the
    way, so that parts left alone stay the same objects.

    :raises ValueError: an operation does not fit the value; a frame has been lost.
    """
    for operation in operations:
        try:
            value = _apply(value, operation[1], operation)
        except (KeyError, IndexError, TypeError, AttributeError) as fault:
            raise ValueError(f"The operation {operation[:2]} does not fit: {fault!r}.") from None
    return value


def _apply(value: Any, path: Path, operation: Operation) -> Any:
    if not path:
        return _change(value, operation)
    key, rest = path[0], path[1:]
    copy: Any = value.copy()
    if operation[0] == "r" and not rest:
        del copy[key]
    elif rest or operation[0] == "a":
        copy[key] = _apply(value[key], rest, operation)
    else:
        copy[key] = operation[2]
    return copy


def _change(value: Any, operation: Operation) -> Any:
    kind, tail = operation[0], operation[-1]
    if kind == "s":
        return tail
    if kind == "a" and type(value) is type(tail) and isinstance(value, (str, list)):
        return value + tail
    raise ValueError(f"The operation {operation[:2]} does not fit a {type(value).__name__}.")
