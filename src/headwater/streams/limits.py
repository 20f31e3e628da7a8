"""What every write must keep, whatever it writes: ids, terms, sizes, JSON. Owns the checks and their words;
knows no stream and no store."""

from __future__ import annotations

from typing import Any

import orjson

from headwater.errors import InvalidInput, Limit, TooLarge
from headwater.jsonshape import ANY_DEPTH, Shape, check_shape
from headwater.model import Terms

MAX_TTL = 1e10
"""Some three hundred years; a time beyond it is a mistake of units."""


MOST_VALUES = 250_000
"""JSON values of one item, unless the settings say otherwise: decoding so many lists takes some 40 ms."""


class Limits:
    """The largest item and the longest id, in bytes, the most JSON values of an item, and what is sound
    besides."""

    __slots__ = ("_shape", "_surely", "max_id_bytes", "max_item_bytes", "max_item_values")

    def __init__(self, *, max_item_bytes: int, max_id_bytes: int, max_item_values: int = MOST_VALUES) -> None:
        self.max_item_bytes = max_item_bytes
        self.max_id_bytes = max_id_bytes
        self.max_item_values = max_item_values
        self._shape = Shape(Limit("storage.max_item_values", max_item_values), ANY_DEPTH)
        self._surely = min(max_item_bytes, 2 * max_item_values)
        """Bytes up to which no text is too large, nor can hold too many values; see `jsonshape.py`."""

    def given(self) -> dict[str, int]:
        """What they are made with, to make the same in another process."""
        return {
            "max_item_bytes": self.max_item_bytes,
            "max_id_bytes": self.max_id_bytes,
            "max_item_values": self.max_item_values,
        }

    def check_id(self, what: str, value: Any) -> None:
        """See that a name is one.

        :raises InvalidInput: it is no text, empty, too long, or no text that UTF-8 can hold.
        """
        if isinstance(value, str) and value.isascii() and 0 < len(value) <= self.max_id_bytes:
            return  # As nearly all are.
        if not isinstance(value, str) or not value:
            raise InvalidInput(f"The {what} must be a non-empty text, not {_said(value)}.")
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise InvalidInput(f"The {what} holds a lone surrogate, which is no text.") from None
        if size > self.max_id_bytes:
            raise InvalidInput(f"The {what} is {size} bytes long; the limit is {self.max_id_bytes}.").at(
                "socket.max_id_bytes", self.max_id_bytes
            )

    def check_terms(self, terms: Terms) -> None:
        """See that the terms of a write make sense.

        :raises InvalidInput: they do not.
        """
        if terms.key is not None:
            self.check_id("key", terms.key)
        if terms.ttl is not None and not 0 < terms.ttl < MAX_TTL:
            raise InvalidInput(f"ttl is in seconds, above 0 and below {MAX_TTL:g}, not {terms.ttl}.")

    def check_size(self, what: str, size: int) -> None:
        """See that something of `size` bytes is small enough.

        :raises TooLarge: it is not.
        """
        if size > self.max_item_bytes:
            raise TooLarge(
                f"The {what} is {size} bytes; the limit is {self.max_item_bytes}.",
                hint=f"Raise [storage] max_item_bytes, or split the {what}.",
                size=size,
                limit=self.max_item_bytes,
            ).at("storage.max_item_bytes", self.max_item_bytes)

    def check_values(self, what: str, text: bytes) -> None:
        """See that a JSON text holds few enough values: what decodes it holds up everybody else.

        :raises TooComplex: it does not.
        """
        check_shape(text, self._shape, what, f"Raise [storage] max_item_values, or split the {what}.")

    def check_text(self, what: str, text: bytes) -> None:
        """See that a JSON text is small enough, in bytes and in values.

        :raises TooLarge: it is not.
        """
        if len(text) > self._surely:
            self.check_size(what, len(text))
            self.check_values(what, text)

    def decode(self, what: str, text: bytes) -> Any:
        """The value of a JSON text.

        :raises TooLarge: it is too large.
        :raises InvalidInput: it is not JSON.
        """
        self.check_text(what, text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as fault:
            raise InvalidInput(f"The {what}'s data is not JSON: {fault}.") from None


def _said(value: Any) -> str:
    """What a value is, without what it says: it reaches logs."""
    return "an empty one" if value == "" else f"a {type(value).__name__}"
