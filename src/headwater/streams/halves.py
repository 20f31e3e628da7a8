"""Text that is appended in halves of characters. Owns how a half waits for the other one.

JavaScript counts in UTF-16, so who appends a text unit by unit, or in pieces cut anywhere, brings a character
beyond U+FFFF as two lone surrogates, of which neither is text. Each is told by a sign that is text: a code
point that Unicode has not given to anything and tells programs to show nothing for. Such a sign may stay at a
text's end until the next append, whoever makes it. Whatever is not joined then becomes U+FFFD, as lone
surrogates do elsewhere. Pure, no I/O.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from headwater.jsonvalue import text_to_keep, with_halves

_FIRST = 0xE0800
"""The sign of the half 0xD800: U+E0800 to U+E0FFF are unassigned and ignorable by default."""
_SIGNS = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + 0x7FF)}]")
_LOWS = 0x400
"""High halves come first, so many of them."""


def read_halves(text: bytes) -> Any:
    """The value of a JSON text in which halves of characters are escaped; signs stand for them.

    :raises ValueError: it is not JSON.
    """
    return orjson.loads(with_halves(text.decode(), lambda half: chr(half - 0xD800 + _FIRST)) or text)


def without_signs(value: Any) -> bytes:
    """The value as JSON text without a sign, for where nothing can be joined."""
    return _SIGNS.sub("\ufffd", text_to_keep(value).decode()).encode()


def to_append(text: str) -> bytes:
    """A text to append as JSON text: halves may stand where it can be joined, at its ends."""
    inner = _SIGNS.sub("\ufffd", text[1:-1]) if len(text) > 2 else ""
    return text_to_keep(text[:1] + inner + text[1:][-1:])


def joined(before: str, tail: str) -> str:
    """The text after an append."""
    if not tail:
        return before
    high, low = _half(before[-1:]), _half(tail[0])
    if high is not None and high < _LOWS:
        if low is not None and low >= _LOWS:
            return f"{before[:-1]}{chr(0x10000 + high * _LOWS + low - _LOWS)}{tail[1:]}"
        before = before[:-1] + "\ufffd"
    if low is not None and low >= _LOWS:
        tail = "\ufffd" + tail[1:]
    return before + tail


def is_whole(before: str, tail: str) -> bool:
    """Whether an append changes nothing of what it is appended to, nor of the tail."""
    return _half(before[-1:]) is None and _half(tail[:1]) is None


def _half(char: str) -> int | None:
    """Which half a sign stands for, counted from 0xD800; None where it is none."""
    found = ord(char) - _FIRST if char else -1
    return found if 0 <= found < 2 * _LOWS else None
