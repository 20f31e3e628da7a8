"""JSON bodies: decoded on the loop, or beside it where that would hold up everybody else.

Owns how much is too much, and the functions that the process beside runs (`aside/`). A text of which more is
to be known than its bytes stays a text here: the worker that gets it decodes it for itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from headwater.aside.runner import Aside
from headwater.errors import BodyInvalid, FieldFault, Limit
from headwater.jsonshape import Shape, check_shape, most_values
from headwater.schema import JsonSchema, Schema

LOOP_VALUES = 20_000
LOOP_BYTES = 1024 * 1024
"""Up to which a text is decoded on the loop: 2 ms for either (measured with lists, and with prose)."""

MOST_ODD_BYTES = 1024 * 1024
"""Bytes of JSON up to which lone surrogates are put up with: it takes a parser ten times slower."""


def is_heavy(text: bytes) -> bool:
    """Whether a JSON text is to be decoded beside the loop."""
    size = len(text)
    return size > LOOP_BYTES or (size > LOOP_VALUES and most_values(text) > LOOP_VALUES)


class HeavyJson:
    """A JSON text that was found sound and is not decoded here."""

    __slots__ = ("_aside", "text")

    def __init__(self, text: bytes, aside: Aside) -> None:
        self.text = text
        self._aside = aside

    @classmethod
    async def read(cls, text: bytes, most: Shape, hint: str, aside: Aside) -> HeavyJson:
        """See that the text is JSON, and no more of it than there may be.

        :raises TooComplex: it holds too many values or nests too deeply.
        :raises BodyInvalid: it is no JSON.
        :raises Overloaded: it could not be read.
        """
        given = {"values": list(most.values), "depth": list(most.depth), "hint": hint}
        await aside.run(sound, text, given)
        return cls(text, aside)

    async def faults(self, schema: JsonSchema) -> list[FieldFault]:
        """What in it breaks a schema; see Schema.faults.

        :raises Overloaded: it could not be read.
        """
        found = orjson.loads(await self._aside.run(broken, self.text, {"schema": dict(schema)}))
        return [FieldFault(field, message) for field, message in found]


def parse_json(raw: bytes) -> Any:
    """The value of a body; lone surrogates become U+FFFD.

    :raises BodyInvalid: it is no JSON; tells where the text breaks.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "surrogate" in error.msg and len(raw) <= MOST_ODD_BYTES:
            return _parse_odd_json(raw)
        where: dict[str, Any] = {"line": error.lineno, "column": error.colno, "offset": error.pos}
        if raw.startswith(b"\xef\xbb\xbf"):
            raise BodyInvalid(
                "the body is not valid JSON: it begins with a byte order mark",
                hint="send UTF-8 without a byte order mark",
                **where,
            ) from None
        raise BodyInvalid(
            f"the body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})", **where
        ) from None


def _parse_odd_json(raw: bytes) -> Any:
    """JSON with lone surrogates, which JavaScript writes and UTF-8 cannot hold."""
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise BodyInvalid(f"the body is not valid JSON: {error}") from None
    return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


# --- run in the process beside ---


def sound(text: bytes, given: Mapping[str, Any]) -> bytes:
    """See HeavyJson.read; answers nothing."""
    most = Shape(Limit(*given["values"]), Limit(*given["depth"]))
    check_shape(text, most, "body", given["hint"])
    parse_json(text)
    return b""


def broken(text: bytes, given: Mapping[str, Any]) -> bytes:
    """See HeavyJson.faults; answers a JSON list of fields and reasons."""
    faults = Schema(given["schema"]).faults(parse_json(text))
    return orjson.dumps([(fault.field, fault.message) for fault in faults])
