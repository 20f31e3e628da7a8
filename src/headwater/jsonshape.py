"""How many values a JSON text holds and how deep they nest, known before it is decoded. No policy, no I/O.

Decoding makes an object of each value: 2 bytes of text become 80 bytes of memory and 0.1 us in which nothing
else runs (measured with orjson and lists). So what a stranger sends is measured first, by its commas and
brackets, which costs a hundredth.

- A text of n bytes holds at most n / 2 + 1 values and nests at most n / 2 deep: most texts are small.
- Commas and opening brackets, counted wherever they stand, are at least as many as the values.
- Only where that is too many are those inside of texts left out, a piece at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from headwater.errors import Limit, TooComplex

ANY_DEPTH = Limit("", 1 << 30)
"""No bound: coders say themselves what nests too deeply."""

PIECE_BYTES = 64 * 1024
"""Looked at in one go: under a millisecond."""

_BRACKETS = b"[]{}"
_STEPS = bytes(1 if sign in b"[{" else 255 for sign in range(256))
"""A bracket as a step: 1 deeper, or (255 as a signed byte) 1 back."""
_NO_BRACKETS = bytes(sign for sign in range(256) if sign not in _BRACKETS)


class Shape(NamedTuple):
    """The most values that a text may hold, members and elements alike, and how deep they may nest: each with
    the setting that says so, "" where none does."""

    values: Limit
    depth: Limit


def most_values(text: bytes) -> int:
    """At least as many as the text holds; what stands inside of texts counts too."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")


def check_shape(text: bytes, most: Shape, what: str, hint: str = "") -> None:
    """See that a JSON text holds and nests no more than it may. What is no JSON is measured somehow. `what`
    names it in the error.

    :raises TooComplex: it does.
    """
    size, most_held, most_deep = len(text), int(most.values.value), int(most.depth.value)
    if size > 2 * most_held and most_values(text) > most_held:
        _check_values(text, most_held, most, what, hint)
    if size > 2 * most_deep and text.count(b"[") + text.count(b"{") > most_deep:
        _check_depth(text, most_deep, most, what, hint)


def _check_values(text: bytes, limit: int, most: Shape, what: str, hint: str) -> None:
    values = 1
    for outside in _outside_of_texts(text):
        values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        values -= outside.count(b"[]") + outside.count(b"{}")
        if values > limit:
            # No name for it: an error that its own frame knows would keep the text until the next collection.
            raise TooComplex(f"The {what} holds more than {limit} JSON values.", hint=hint, limit=limit).at(
                *most.values
            )


def _check_depth(text: bytes, limit: int, most: Shape, what: str, hint: str) -> None:
    depth = 0
    for outside in _outside_of_texts(text):
        steps = memoryview(outside.translate(_STEPS, _NO_BRACKETS)).cast("b")
        *depths, depth = accumulate(steps, initial=depth)
        if max(depths, default=0) > limit or depth > limit:
            raise TooComplex(f"The {what} nests deeper than {limit}.", hint=hint, depth=limit).at(*most.depth)


def _outside_of_texts(text: bytes) -> Iterator[bytes]:
    """What stands outside of texts, in pieces. A piece ends in the middle of no escape."""
    start, inside = 0, False
    while start < len(text):
        end = start + PIECE_BYTES
        piece = text[start:end]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece += text[end : end + 1]
            end += 1
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        yield b" ".join(parts[inside::2])
        inside ^= len(parts) % 2 == 0
        start = end
