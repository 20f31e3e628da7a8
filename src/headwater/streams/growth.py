"""What operations of an update change, as operations of the wire (WIRE.md section 5): so that an append to a
long text travels as one, without anybody comparing the text before with the one after. Pure, no I/O."""

from __future__ import annotations

from typing import Any, cast

from headwater.jsonvalue import is_list, is_object
from headwater.streams.halves import is_whole
from headwater.streams.operations import Operation, apply_to_value

Told = list[list[Any]]

_INDEX_DIGITS = 9
"""Of indexes that are told; a longer list is compared."""


def apply_telling(value: Any, operations: list[Operation]) -> tuple[Any, Told | None]:
    """The value after all operations, and what leads there on the wire; None where that is not simply told.
    The given value is used up.

    :raises InvalidInput: as `apply_to_value`.
    """
    told: Told | None = []
    for operation in operations:
        place = None if told is None else _place(value, operation.path)
        before = None if place is None else _at(place)
        value = apply_to_value(value, [operation])
        more = None if place is None else _told(operation, place, before)
        if told is not None and more is not None:
            told.extend(more)
        else:
            told = None
    return value, told


class _Place:
    """Where an operation acts: what holds it is there already."""

    __slots__ = ("holder", "key", "path")

    def __init__(self, holder: Any, key: Any, path: list[Any]) -> None:
        self.holder, self.key, self.path = holder, key, path


def _place(value: Any, path: tuple[str, ...]) -> _Place | None:
    """The place that a path names, if all that leads there is; None for the whole value too."""
    exact: list[Any] = []
    place: _Place | None = None
    for part in path:
        holder: Any = value if place is None else _at(place)
        if isinstance(holder, list):
            digits = part.isascii() and part.isdigit() and len(part) <= _INDEX_DIGITS
            if not digits or int(part) >= len(holder):  # pyright: ignore[reportUnknownArgumentType]
                return None
            exact.append(int(part))
        elif isinstance(holder, dict):
            exact.append(part)
        else:
            return None
        place = _Place(cast(Any, holder), exact[-1], exact)
    return place


def _at(place: _Place) -> Any:
    holder, key = place.holder, place.key
    return cast(dict[str, Any], holder).get(key) if isinstance(holder, dict) else holder[key]


def _told(operation: Operation, place: _Place, before: Any) -> Told | None:
    """What an operation has done, with values of its own: later ones may change those in the item."""
    match operation.type:
        case "append" if isinstance(before, str):
            brought = operation.value()
            return [["a", place.path, brought]] if is_whole(before, brought) else None
        case "append" if is_list(before):
            brought = operation.value()
            return [["a", place.path, [brought]]] if _lasts(brought) else None
        case "append" if before is None:
            brought = operation.value()
            made = brought if isinstance(brought, str) else [brought]
            return [["s", place.path, made]] if _lasts(brought) else None
        case "set":
            return [["s", place.path, operation.value()]]
        case "increment" | "decrement":
            return [["s", place.path, _at(place)]]
        case "merge" if is_object(before):
            return [["s", [*place.path, key], value] for key, value in operation.value().items()]
        case _:
            return None


def _lasts(brought: Any) -> bool:
    """Whether what is brought is what is kept."""
    return not isinstance(brought, str) or is_whole("", brought)
