"""What users give: names, items, presence states. Owns what of it can travel, and what is said of the
rest."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import orjson

from headwater.errors import InvalidInput
from headwater.jsonvalue import is_object, long_integer

_SPOKEN = {
    "state": "the presence state",
    "data": "the item",
    "operations": "the list of operations",
    "event": "the event",
}


def name(what: str, value: Any) -> str:
    """An id as text: whole numbers and UUIDs become it.

    :raises InvalidInput: it is none that can travel.
    """
    if isinstance(value, int | UUID) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"The {what} is a non-empty text, not {value!r:.80}.", field=what)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"The {what} holds half of a character.", field=what) from None
    return value


def limit(value: int | None) -> int | None:
    """The size of a window, or None for everything.

    :raises InvalidInput: it is no whole number above 0.
    """
    if value is not None and (type(value) is not int or value < 1):
        raise InvalidInput(f"The limit is a whole number above 0, not {value!r:.80}.", field="limit")
    return value


def presence(state: dict[str, Any]) -> dict[str, Any]:
    """A presence state as it travels.

    :raises InvalidInput: it is no object that JSON can hold.
    """
    return an_object(state, "state")


def an_object(value: dict[str, Any], what: str) -> dict[str, Any]:
    """An object as it travels, as `json_value`.

    :raises InvalidInput: it is no object that JSON can hold.
    """
    copy = json_value(value, what)
    if not is_object(copy):
        raise InvalidInput(f"{_SPOKEN.get(what, what).capitalize()} is an object.", field=what)
    return copy


def json_value(value: Any, what: str) -> Any:
    """What was given as it travels: a copy, which later changes of the original do not touch; half of a
    character becomes U+FFFD.

    :raises InvalidInput: it is nothing that JSON can hold.
    """
    spoken = _SPOKEN.get(what, what).capitalize()
    try:
        text = _text(value)
        place = long_integer(text)
        if place is None:
            return orjson.loads(text)
    except (TypeError, ValueError, RecursionError) as fault:
        raise InvalidInput(f"{spoken} cannot be sent: {fault}.", field=what) from None
    raise InvalidInput(
        f"{spoken} cannot be sent: the number at {place or 'its top'} has more than 64 bits.",
        hint="Give it as text.",
        field=f"{what}.{place}" if place else what,
    )


def _text(value: Any) -> bytes | str:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
