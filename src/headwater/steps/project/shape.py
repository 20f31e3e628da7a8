"""What a config may hold: tables of keys, and the check of a config against its table.

Owns the wording of every fault in a config. Knows no step type (those bring their tables, see `triggers/`)
and no file: the caller puts file and line to each fault.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from headwater.errors import InvalidInput
from headwater.schema import Schema


class Fault(NamedTuple):
    """One thing wrong with a config. `key` is where, dotted where it lies deeper."""

    level: Literal["error", "warning"]
    key: str
    message: str
    hint: str = ""
    code: str = ""
    """The problem's code, where it is not the one that the level has."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a config: `allowed` says in words what `accepts` takes."""

    allowed: str
    accepts: Callable[[Any], bool]
    required: bool = False


Keys = Mapping[str, Key]


def is_text(value: Any) -> bool:
    """Text of at least one character that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_texts(value: Any) -> bool:
    """A list of texts, perhaps empty."""
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[Any]", value))


def is_object(value: Any) -> bool:
    """A JSON object."""
    return isinstance(value, dict)


def is_topic(value: Any) -> bool:
    """A topic as text, or an object that names it: `{topic, label?, conditional?}`. One that is blank is a
    slip of the pen that harms nobody: see `topic_faults`."""
    if not isinstance(value, dict):
        return isinstance(value, str)
    entry = cast("dict[str, Any]", value)
    return (
        isinstance(entry.get("topic"), str)
        and isinstance(entry.get("label", ""), str | None)
        and isinstance(entry.get("conditional", False), bool | None)
    )


def is_topics(value: Any) -> bool:
    """A list of topics, perhaps empty."""
    return isinstance(value, list) and all(map(is_topic, cast("list[Any]", value)))


TEXT = Key("text", lambda value: isinstance(value, str))
TEXTS = Key("a list of texts", is_texts)
TOPICS = Key("a list of topics, each text or {topic, label, conditional}", is_topics)
SCHEMA = Key("a JSON Schema object", is_object)
OBJECT = Key("an object", is_object)


def required(key: Key) -> Key:
    """The same key, where it must not be missing."""
    return Key(key.allowed, key.accepts, required=True)


def check(
    config: Mapping[str, Any], keys: Keys, *, of: str, elsewhere: Mapping[str, str], within: str = ""
) -> list[Fault]:
    """What is wrong with a config: missing and wrong values are errors, unknown keys are warnings.

    A key that is null counts as missing. `of` names the kind of thing ("an api step"); `elsewhere` tells for
    keys of other kinds where they belong. `within` is where this part of a config lies, ending in a dot.
    """
    faults = [
        Fault(
            "error", f"{within}{name}", f'{of} needs "{name}": {key.allowed}', _near_miss(name, config, keys)
        )
        for name, key in keys.items()
        if key.required and config.get(name) is None
    ]
    for name, value in config.items():
        key = keys.get(name)
        if key is None:
            unknown = _unknown(name, keys, of, elsewhere)
            faults.append(unknown._replace(key=f"{within}{name}"))
        elif value is not None and not key.accepts(value):
            place = f"{within}{name}"
            faults.append(Fault("error", place, f'"{place}" must be {key.allowed}, not {_quote(value)}'))
    return faults


def schema_fault(key: str, schema: Any) -> Fault | None:
    """What is wrong with a schema, if anything. What is no object is for the key's own check to refuse."""
    if not is_object(schema):
        return None
    try:
        Schema(schema)
    except InvalidInput as fault:
        return Fault("error", key, f'"{key}" is no valid JSON Schema: {_reason(fault.message)}')
    return None


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """ "Did you mean ...?" for a name that is close to an allowed one, else ""."""
    by_lower = {one.lower().replace("_", ""): one for one in allowed}
    close = difflib.get_close_matches(name.lower().replace("_", ""), by_lower, n=1, cutoff=0.6)
    return f'Did you mean "{by_lower[close[0]]}"?' if close else ""


def topics(value: Any) -> tuple[str, ...]:
    """The topics of a checked list, without labels and without those that are blank."""
    listed = cast("list[str | dict[str, Any]]", value or [])
    named = (one if isinstance(one, str) else str(one["topic"]) for one in listed)
    return tuple(topic for topic in named if topic.strip())


TOPIC_KEYS = {
    "emits": "An empty list lets the step emit any topic.",
    "subscribes": "A step without a topic never runs.",
    "virtualEmits": "",
    "virtualSubscribes": "",
}
"""The keys that list topics, and what to know about each without one."""


def topic_faults(config: Mapping[str, Any]) -> list[Fault]:
    """A warning for each list of topics that holds a blank one, which is left out."""
    return [
        Fault("warning", name, f'"{name}" holds an empty topic; it is ignored', hint, "TOPIC_EMPTY")
        for name, hint in TOPIC_KEYS.items()
        if is_topics(config.get(name)) and len(topics(config[name])) < len(config[name])
    ]


def _near_miss(name: str, config: Mapping[str, Any], keys: Keys) -> str:
    """A hint where an unknown key of the config looks like the missing one."""
    unknown = [one for one in config if one not in keys]
    return next((f'Is "{one}" meant?' for one in unknown if suggestion(one, [name])), "")


def _unknown(name: str, keys: Keys, of: str, elsewhere: Mapping[str, str]) -> Fault:
    home = elsewhere.get(name)
    message = f'{of} has no key "{name}"; it is ignored'
    hint = f'"{name}" belongs to {home}.' if home else suggestion(name, keys)
    return Fault("warning", name, message, hint or f"Known keys: {', '.join(keys)}.")


def _quote(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _reason(message: str) -> str:
    """The first line of a validator's message, without the words that the fault says itself."""
    return message.removeprefix("Not a valid JSON Schema: ").splitlines()[0]
