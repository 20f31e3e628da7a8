"""One setting as people write it: its key, its environment variable, and which values it takes.

Owns the reading of a single value, from text (environment, flags) or from TOML. Knows no file and no order of
precedence; that is `settings.py`. Everything is derived from the dataclasses of `headwater.config`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from headwater.config import Settings

Kind = Literal["text", "count", "bytes", "seconds", "choice", "list", "switch"]
Value = str | int | float | tuple[str, ...]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i)?)?b?", re.IGNORECASE)
_SIZE_POWERS = {None: 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SWITCHES = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
"""How an environment variable or a flag says it; in the file it is true or false."""
_MOST: dict[str, float] = {"count": 10_000_000, "bytes": 1024**4, "seconds": 3650 * 86_400.0}
"""What no setting may exceed, so that sums and timers stay in range: 10 million, 1 TiB, ten years."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One setting. `key` is "section.name"; `choices` are the values of a choice."""

    section: str
    name: str
    kind: Kind
    default: Value
    doc: str
    least: float
    most: float
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False
    secret: bool = False

    @property
    def key(self) -> str:
        """The setting's full name, "section.name"."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"HEADWATER_{self.section}_{self.name}".upper()

    def allowed(self) -> str:
        """Which values it takes, in words that follow "must be"."""
        match self.kind:
            case "choice":
                return " or ".join(f'"{choice}"' for choice in self.choices)
            case "list":
                return 'a list of texts (in the environment: "a,b")'
            case "text":
                return "a text" if self.may_be_empty else "a text that is not empty"
            case "bytes":
                return f'a size of {self.least:.0f} to {self.most:.0f} bytes, like 65536, "1 MiB" or "500 KB"'
            case "seconds":
                return f'seconds from {self.least:g} to {self.most:.0f}, like 2.5, "250ms", "10s" or "5m"'
            case "count":
                return f"a whole number from {self.least:.0f} to {self.most:.0f}"
            case "switch":
                return "true or false"

    def read(self, raw: object) -> Value:
        """The setting's value from a TOML value, or from the text of a variable or flag.

        :raises ValueError: it is none of those that `allowed` names.
        """
        if isinstance(raw, bool) and self.kind != "switch":
            raise ValueError(self.key)
        match self.kind:
            case "switch":
                return _switch(raw)
            case "choice" | "text":
                return self._text(raw)
            case "list":
                return self._list(raw)
            case "bytes":
                number = _bytes(raw)
            case "seconds":
                number = _seconds(raw)
            case "count":
                number = _whole(raw)
        if not self.least <= number <= self.most:
            raise ValueError(self.key)
        return number

    def _text(self, raw: object) -> str:
        if not isinstance(raw, str) or (self.choices and raw not in self.choices):
            raise ValueError(self.key)
        if not raw.strip() and not self.may_be_empty:
            raise ValueError(self.key)
        return raw

    def _list(self, raw: object) -> tuple[str, ...]:
        if isinstance(raw, str):
            return tuple(part.strip() for part in raw.split(",") if part.strip())
        if isinstance(raw, list | tuple):
            parts: list[object] = list(raw)  # pyright: ignore[reportUnknownArgumentType]
            texts = tuple(part for part in parts if isinstance(part, str) and part.strip())
            if len(texts) == len(parts):
                return texts
        raise ValueError(self.key)

    def show(self, value: Value) -> str:
        """The value as people write it in the file."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, tuple):
            return "[" + ", ".join(f'"{part}"' for part in value) + "]"
        if self.kind == "bytes" and isinstance(value, int):
            return _size_text(value)
        return f"{value:.12g}" if isinstance(value, float) else str(value) or '""'


def _switch(raw: object) -> bool:
    found = raw if isinstance(raw, bool) else _SWITCHES.get(str(raw).strip().lower())
    if found is None or not isinstance(raw, bool | str):
        raise ValueError
    return found


def _number(raw: object) -> float:
    if isinstance(raw, int | float) and math.isfinite(raw):
        return raw
    raise ValueError


def _whole(raw: object) -> int:
    if isinstance(raw, str):
        return int(raw.strip().replace("_", ""))
    number = _number(raw)
    if number != int(number):
        raise ValueError
    return int(number)


def _bytes(raw: object) -> int:
    if not isinstance(raw, str):
        return _whole(raw)
    if not (found := _SIZE.fullmatch(raw.strip().replace("_", ""))):
        raise ValueError
    step = 1024 if found[3] else 1000
    return _whole(float(found[1]) * step ** _SIZE_POWERS[found[2] and found[2].lower()])


def _seconds(raw: object) -> float:
    if not isinstance(raw, str):
        return float(_number(raw))
    if not (found := _DURATION.fullmatch(raw.strip().replace("_", ""))):
        raise ValueError
    return float(found[1]) * _DURATION_SECONDS[found[2] or "s"]


def _size_text(size: int) -> str:
    for unit, scale in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size and size % scale == 0:
            return f"{size // scale} {unit}"
    return str(size)


def _kind(name: str, hint: Any) -> Kind:
    if get_origin(hint) is Literal:
        return "choice"
    if get_origin(hint) is tuple:
        return "list"
    if hint is bool:
        return "switch"
    if hint is float:
        return "seconds"
    if hint is int:
        return "bytes" if name.endswith("_bytes") else "count"
    return "text"


def _field(section: str, name: str, declared: dataclasses.Field[Any], hint: Any) -> Field:
    kind = _kind(name, hint)
    bounds: Mapping[str, Any] = declared.metadata
    default: Any = declared.default
    return Field(
        section=section,
        name=name,
        kind=kind,
        default=default,
        doc=bounds["doc"],
        least=bounds["least"],
        most=_MOST.get(kind, 0) if bounds["most"] is None else bounds["most"],
        choices=get_args(hint) if kind == "choice" else (),
        may_be_empty=bounds["may_be_empty"],
        secret=bounds["secret"],
    )


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


@cache
def sections() -> dict[str, type[Any]]:
    """The sections of `headwater.toml` and the dataclass of each, in the order of `Settings`."""
    hints: dict[str, Any] = get_type_hints(Settings)
    return {name: hint for name, hint in hints.items() if _is_section(hint)}


@cache
def fields() -> dict[str, Field]:
    """Every setting by its key, in the order of declaration."""
    found: dict[str, Field] = {}
    for section, shape in sections().items():
        hints = get_type_hints(shape)
        for declared in dataclasses.fields(shape):
            if "doc" not in declared.metadata:
                continue  # A table of its own.
            field = _field(section, declared.name, declared, hints[declared.name])
            found[field.key] = field
    return found
