"""What a decoded JSON value is, told to the type checker, and JSON text that lives on. No policy, no I/O."""

from __future__ import annotations

from typing import Any, TypeGuard

import orjson

_COPIED_BYTES = 64 * 1024


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a decoded JSON value is a list."""
    return isinstance(value, list)


def text_to_keep(value: object) -> bytes:
    """A value as UTF-8 JSON text that lives on, in a ring, a queue or a store.

    orjson leaves its result in the buffer it was written to, 4 KiB at least (measured with 3.13); kept by the
    thousand, small texts would take many times their size. A copy has the right one.

    :raises orjson.JSONEncodeError: JSON cannot hold the value (a number too large, nesting too deep).
    """
    text = orjson.dumps(value)
    return memoryview(text).tobytes() if len(text) < _COPIED_BYTES else text
