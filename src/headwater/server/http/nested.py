"""Names with brackets, as queries and forms write what is nested: `a[b]=1`, `a[]=1`, `a[0][b]=1`.

Owns that grammar, which is the one of Express (the package qs): what people's forms and old front ends send.
Knows no body and no request.

- `a[b]=1` is `{"a": {"b": "1"}}`; `a[]=1&a[]=2` and `a[0]=1&a[1]=2` are `{"a": ["1", "2"]}`.
- Indices only order a list, they leave no holes; one above `MOST_INDEX` is a key like any other.
- A list with keys beside its indices is an object. A name that is both a value and nested is a list of both.
- A bracket that is not closed is a letter like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

QUERY_DEPTH, FORM_DEPTH = 5, 32
"""Levels below the first name; what is deeper stays one key, brackets and all. As in Express 4."""

MOST_INDEX = 20
"""Highest index of a list, as in Express 4: a stranger's `a[999999]` makes nothing large."""

_NAME = re.compile(r"([^\[\]]*)((?:\[[^\[\]]*\])+)")
_PART = re.compile(r"\[([^\[\]]*)\]")
_INDEX = re.compile(r"0|[1-9][0-9]?")
_HIDDEN = "__proto__"
"""A key that would reach beyond the object in JavaScript; what names it is left out."""


class _Node:
    """What is said of one place: the values that end here, and what lies below."""

    __slots__ = ("below", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.below: dict[str, _Node] = {}

    def at(self, part: str, *, last: bool) -> _Node:
        """The place below. `[]` at the end of a name is one place more each time, elsewhere the first one."""
        if part == "":
            part = self._next() if last else "0"
        return self.below.setdefault(part, _Node())

    def _next(self) -> str:
        place = len(self.below)
        while str(place) in self.below:
            place += 1
        return str(place)

    def value(self) -> Any:
        """All of it as a JSON value."""
        if not self.below:
            return self.values[0] if len(self.values) == 1 else self.values
        if all(_is_index(part) for part in self.below):
            listed = [self.below[part].value() for part in sorted(self.below, key=int)]
            return [*self.values, *listed]
        named = {part: node.value() for part, node in self.below.items()}
        return [*self.values, named] if self.values else named


def nest(flat: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Parameters by name, nested where their names say so. A value is one, or a list of those of one name."""
    if not any("[" in name for name in flat):
        return dict(flat)
    root = _Node()
    for name, given in flat.items():
        parts = _parts(name, depth)
        if _HIDDEN in parts:
            continue
        for one in cast("list[Any]", given) if isinstance(given, list) else [given]:
            node = root
            for number, part in enumerate(parts):
                node = node.at(part, last=number == len(parts) - 1) if number else _top(root, part)
            node.values.append(one)
    return {name: node.value() for name, node in root.below.items()}


def _top(root: _Node, name: str) -> _Node:
    return root.below.setdefault(name, _Node())


def _parts(name: str, depth: int) -> list[str]:
    found = _NAME.match(name)
    if found is None:
        return [name]
    top, brackets = found.groups()
    below: list[str] = _PART.findall(brackets)
    parts = [top, *below] if top else below
    if len(parts) <= depth + 1:
        return parts
    rest = "".join(f"[{part}]" for part in parts[depth + 1 :])
    return [*parts[: depth + 1], rest]


def _is_index(part: str) -> bool:
    return _INDEX.fullmatch(part) is not None and int(part) <= MOST_INDEX
