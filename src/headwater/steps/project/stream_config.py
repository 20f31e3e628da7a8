"""What a stream's config may hold, and the stream it declares. Owns the table of keys; finds no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from headwater.jsonvalue import is_object
from headwater.steps.project.declare import JsonSchema, StreamDeclaration
from headwater.steps.project.shape import OBJECT, SCHEMA, TEXT, Key, Keys
from headwater.steps.project.triggers.base import NAME, Entry
from headwater.streams.catalog import VERBS, Rights


def _is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_keep(value: Any) -> bool:
    if not is_object(value) or not value or not set(value) <= {"newest", "age"}:
        return False
    return _is_count(value.get("newest", 1)) and _is_amount(value.get("age", 1))


STREAM_KEYS: Keys = {
    "name": NAME,
    "schema": SCHEMA,
    "baseConfig": OBJECT,
    "description": TEXT,
    "presence": Key("true or false", lambda value: isinstance(value, bool)),
    "rollup": Key("milliseconds, more than 0", _is_amount),
    "ttl": Key("seconds, more than 0", _is_amount),
    "keep": Key('{"newest": how many} or {"age": seconds}, or both', _is_keep),
}


def rights_of(raw: Mapping[str, Any]) -> Rights:
    """Who may do what, as a manifest says: `access` tells of a rule about reading, `rules` of each verb that
    the file says something about. What is not understood is nobody's."""
    rules = raw.get("rules")
    said = cast("dict[str, Any]", rules) if isinstance(rules, dict) else {}
    rights: dict[str, Any] = {
        verb: said[verb] if said[verb] in ("open", "rule") else "nobody" for verb in VERBS if verb in said
    }
    if raw.get("access") and "read" not in rights:
        rights["read"] = "rule"
    return Rights(**rights)


def declare_stream(entry: Entry, rights: Rights, stamp: str) -> StreamDeclaration:
    """The stream of a config that was found sound."""
    config = entry.config
    keep: dict[str, Any] = config.get("keep") or {}
    return StreamDeclaration(
        file=entry.file,
        language=entry.language,
        name=config["name"],
        schema=cast("JsonSchema | None", config.get("schema")) or None,
        rights=rights,
        stamp=stamp,
        line=entry.line,
        presence=bool(config.get("presence")),
        rollup=float(config.get("rollup") or 0) / 1000,
        ttl=config.get("ttl"),
        keep_newest=keep.get("newest"),
        keep_age=keep.get("age"),
    )
