"""What all step types share: the contract of one, and the keys that every step has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from headwater.steps.project.declare import Step
from headwater.steps.project.shape import TEXT, TEXTS, Fault, Key, Keys, is_text, topics


@dataclass(frozen=True, slots=True)
class Entry:
    """One step as a worker's manifest reports it. `config` is JSON, not yet checked."""

    file: str
    language: str
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    middleware: int = 0
    conditional: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Trigger:
    """One step type.

    `keys` is the table of its config; `faults` finds what the table cannot say; `declare` makes the step of a
    config in which neither found an error.
    """

    type: str
    keys: Keys
    declare: Callable[[Entry], Step]
    faults: Callable[[Mapping[str, Any]], list[Fault]] = lambda _config: []


NAME = Key("text that is not empty", is_text, required=True)

COMMON: Keys = {
    "type": NAME,
    "name": NAME,
    "description": TEXT,
    "flows": TEXTS,
}

VIRTUAL_KEYS = ("virtualEmits", "virtualSubscribes")


class Shared(TypedDict):
    """The fields that every declaration has."""

    file: str
    language: str
    line: int
    name: str
    description: str
    flows: tuple[str, ...]
    emits: tuple[str, ...]
    virtual_emits: tuple[str, ...]
    virtual_subscribes: tuple[str, ...]


def shared(entry: Entry) -> Shared:
    """The fields that every declaration has, from a checked config."""
    config = entry.config
    return Shared(
        file=entry.file,
        language=entry.language,
        line=entry.line,
        name=config["name"],
        description=config.get("description") or "",
        flows=tuple(config.get("flows") or ()),
        emits=topics(config.get("emits")),
        virtual_emits=topics(config.get("virtualEmits")),
        virtual_subscribes=topics(config.get("virtualSubscribes")),
    )
