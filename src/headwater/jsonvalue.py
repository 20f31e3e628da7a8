"""What a decoded JSON value is, told to the type checker, and JSON text that lives on. No policy, no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeGuard

import orjson

_COPIED_BYTES = 64 * 1024

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|.)", re.ASCII
)
"""An escape in JSON text; a pair of surrogates is one, half of one is told by its length."""
_RUN = 19
_MOST_TRIED = 1000
_DIGIT_TEXT, _DIGIT_BYTES = re.compile(r"[0-9]"), re.compile(rb"[0-9]")
_LONG_TEXT, _LONG_BYTES = re.compile(r"[0-9]{19}"), re.compile(rb"[0-9]{19}")
_HALF_CHARS = 6
_MOST_ODD_CHARS = 64 * 1024
"""Of a client's message."""


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


def has_long_integer(text: str | bytes) -> bool:
    """Whether a JSON text may hold an integer beyond 64 bits: some run of 19 digits.

    Such a run covers one place in 19, so only these are looked at, and around those that are digits: a text
    of 20 MB takes 5 ms instead of 200. One that is full of numbers is searched as it is, from there on.
    """
    # The same twice, for patterns are of one kind of text.
    if isinstance(text, str):
        for tried, hit in enumerate(_DIGIT_TEXT.finditer(text[_RUN - 1 :: _RUN])):
            at = _RUN - 1 + _RUN * hit.start()
            if tried == _MOST_TRIED:
                return _LONG_TEXT.search(text, at - _RUN + 1) is not None
            if _LONG_TEXT.search(text, at - _RUN + 1, at + _RUN):
                return True
        return False
    for tried, hit in enumerate(_DIGIT_BYTES.finditer(text[_RUN - 1 :: _RUN])):
        at = _RUN - 1 + _RUN * hit.start()
        if tried == _MOST_TRIED:
            return _LONG_BYTES.search(text, at - _RUN + 1) is not None
        if _LONG_BYTES.search(text, at - _RUN + 1, at + _RUN):
            return True
    return False


def long_integer(text: str | bytes) -> str | None:
    """Where a JSON text holds an integer beyond 64 bits, as a dotted path ("" is the whole value); None where
    there is none. The decoder makes a float of it without a word, and so another number.

    :raises ValueError: it is not JSON, or nests too deeply.
    """
    if not has_long_integer(text):
        return None
    try:
        waiting: list[tuple[str, Any]] = [("", json.loads(text))]
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            return path
        inner: list[tuple[object, Any]] = []
        if is_object(value):
            inner = list(value.items())
        elif is_list(value):
            inner = list(enumerate(value))
        waiting += [(f"{path}.{name}" if path else str(name), member) for name, member in inner]
    return None


def with_halves(text: str, sign: Callable[[int], str], most: int | None = None) -> str | None:
    """JSON text with a sign for every escaped surrogate that is alone; None where there is none. JavaScript
    writes such halves of characters, UTF-8 cannot hold them. A text of more than `most` characters is left as
    it is: to look at each escape is slow."""
    if most is not None and len(text) > most:
        return None
    found = False

    def whole(escape: re.Match[str]) -> str:
        nonlocal found
        if len(escape[0]) != _HALF_CHARS:
            return escape[0]
        found = True
        return sign(int(escape[0][2:], 16))

    mended = _ESCAPE.sub(whole, text)
    return mended if found else None


def without_halves(text: str) -> str | None:
    """The same with U+FFFD as the sign."""
    return with_halves(text, lambda _: "\ufffd", _MOST_ODD_CHARS)
