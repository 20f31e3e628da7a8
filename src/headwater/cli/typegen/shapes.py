"""JSON Schema -> shapes: what a type checker can know of a value. Owns reading schemas; writes no language.

What a schema says beyond that (bounds, patterns, formats) is the server's to enforce.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote

MAX_DEPTH = 60
"""Deepest nesting that is followed; what lies below is anything."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Anything:
    """No more is known."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No value fits."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One of JSON's plain types: "string", "number", "integer", "boolean", "null"."""

    kind: str


@dataclass(frozen=True, slots=True)
class Constant:
    """Exactly this value: text, number, flag or null."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: first the types of `items`, then any number of `rest` (None: no more)."""

    items: tuple[Shape, ...]
    rest: Shape | None


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object."""

    name: str
    shape: Shape
    required: bool
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """An object with known members; `rest` is what others hold, where the schema says so."""

    members: tuple[Member, ...]
    rest: Shape | None = None


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    options: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A definition of the schema, which may hold itself."""

    name: str


Shape = Anything | Nothing | Scalar | Constant | Listing | Record | Either | Named

ANYTHING = Anything()


@dataclass(slots=True)
class Document:
    """The shape of one schema, and of the definitions that it refers to."""

    root: Shape
    definitions: dict[str, Shape] = field(default_factory=dict[str, Shape])

    def resolved(self) -> Shape:
        """The root, looked up where it is a definition itself."""
        return self.definitions.get(self.root.name, ANYTHING) if isinstance(self.root, Named) else self.root


def read(schema: Schema | None) -> Document:
    """The shapes of a schema; no schema is an object of anything."""
    if schema is None:
        return Document(Record((), ANYTHING))
    reader = _Reader(schema)
    root = reader.shape(schema, 0)
    return Document(root, reader.definitions)


class _Reader:
    def __init__(self, root: Schema) -> None:
        self.definitions: dict[str, Shape] = {}
        self._root = root

    def shape(self, schema: Any, depth: int) -> Shape:
        if schema is False:
            return Nothing()
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return ANYTHING
        given = cast("Schema", schema)
        if "$ref" in given:
            return self._reference(str(given["$ref"]), depth)
        if "const" in given:
            return _constant(given["const"])
        if isinstance(given.get("enum"), list):
            return _either([_constant(value) for value in given["enum"]])
        for several in ("anyOf", "oneOf"):
            if isinstance(given.get(several), list):
                return self._both(given, several, depth)
        if isinstance(given.get("allOf"), list):
            return self._all(given, depth)
        return self._typed(given, depth)

    def _reference(self, pointer: str, depth: int) -> Shape:
        """A reference into the document; one to somewhere else is anything."""
        target: Any = self._root
        parts = [_unescape(part) for part in pointer.removeprefix("#").split("/")[1:]]
        if not pointer.startswith("#"):
            return ANYTHING
        for part in parts:
            target = cast("Schema", target).get(part) if isinstance(target, Mapping) else None
        if target is None:
            return ANYTHING
        name = parts[-1] if parts else "Self"
        if name not in self.definitions:
            self.definitions[name] = ANYTHING  # holds the place while it is read
            self.definitions[name] = self.shape(target, depth + 1)
        return Named(name)

    def _both(self, schema: Schema, several: str, depth: int) -> Shape:
        options = [self.shape(option, depth + 1) for option in schema[several]]
        if not isinstance(schema.get("properties"), Mapping):
            return _either(options)
        own = self._record(schema, depth)
        return _either([_merged([own, option]) for option in options])

    def _all(self, schema: Schema, depth: int) -> Shape:
        parts = [self.shape(part, depth + 1) for part in schema["allOf"]]
        own = {key: value for key, value in schema.items() if key != "allOf"}
        if "type" in own or "properties" in own:
            parts.insert(0, self._typed(own, depth))
        return _merged([self._resolved(part) for part in parts])

    def _resolved(self, shape: Shape) -> Shape:
        return self.definitions.get(shape.name, ANYTHING) if isinstance(shape, Named) else shape

    def _typed(self, schema: Schema, depth: int) -> Shape:
        kind = schema.get("type")
        if isinstance(kind, list):
            named = cast("list[Any]", kind)
            return _either([self._typed({**schema, "type": one}, depth) for one in named])
        match kind:
            case "string" | "number" | "integer" | "boolean" | "null":
                shape: Shape = Scalar(kind)
            case "array":
                shape = self._listing(schema, depth)
            case "object":
                shape = self._record(schema, depth)
            case _:
                shape = self._record(schema, depth) if "properties" in schema else ANYTHING
        return _either([shape, Scalar("null")]) if schema.get("nullable") is True else shape

    def _listing(self, schema: Schema, depth: int) -> Listing:
        given: Any = schema.get("items")
        first: Any = schema.get("prefixItems")
        if isinstance(given, list):  # the tuples of older drafts
            first, given = cast("list[Any]", given), schema.get("additionalItems")
        listed = cast("list[Any]", first) if isinstance(first, list) else []
        heads = tuple(self.shape(one, depth + 1) for one in listed)
        if given is False or (heads and schema.get("maxItems") == len(heads)):
            return Listing(heads, None)
        return Listing(heads, ANYTHING if given is None else self.shape(given, depth + 1))

    def _record(self, schema: Schema, depth: int) -> Record:
        properties = schema.get("properties")
        known: Schema = cast("Schema", properties) if isinstance(properties, Mapping) else {}
        needed = schema.get("required")
        required = set(cast("list[str]", needed)) if isinstance(needed, list) else set[str]()
        members = [
            Member(name, self.shape(inner, depth + 1), name in required, _doc(inner))
            for name, inner in known.items()
        ]
        others = schema.get("additionalProperties")
        if isinstance(others, Mapping):
            return Record(tuple(members), self.shape(others, depth + 1))
        return Record(tuple(members), None if members or others is False else ANYTHING)


def _constant(value: Any) -> Shape:
    return Constant(value) if value is None or isinstance(value, str | int | float | bool) else ANYTHING


def _either(options: list[Shape]) -> Shape:
    flat: dict[Shape, None] = {}
    for option in options:
        for one in option.options if isinstance(option, Either) else (option,):
            flat[one] = None
    if ANYTHING in flat or not flat:
        return ANYTHING
    return next(iter(flat)) if len(flat) == 1 else Either(tuple(flat))


def _merged(parts: list[Shape]) -> Shape:
    """What fits all parts. Objects are put together; of other kinds the first that says something counts."""
    known = [part for part in parts if not isinstance(part, Anything)]
    if not known:
        return ANYTHING
    if not all(isinstance(part, Record) for part in known):
        return known[0]
    members: dict[str, Member] = {}
    rest: Shape | None = None
    for part in known:
        assert isinstance(part, Record)
        for member in part.members:
            before = members.get(member.name)
            required = member.required or (before is not None and before.required)
            members[member.name] = Member(member.name, member.shape, required, member.doc)
        rest = part.rest or rest
    return Record(tuple(members.values()), None if members else rest)


def _doc(schema: Any) -> str:
    said = cast("Schema", schema).get("description") if isinstance(schema, Mapping) else None
    return said if isinstance(said, str) else ""


def _unescape(part: str) -> str:
    return unquote(part).replace("~1", "/").replace("~0", "~")
