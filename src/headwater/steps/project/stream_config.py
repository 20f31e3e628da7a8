"""What a stream's config may hold, and the stream it declares. Owns the table of keys; finds no files."""

from __future__ import annotations

from typing import Any, cast

from headwater.jsonvalue import is_object
from headwater.steps.project.declare import JsonSchema, StreamDeclaration
from headwater.steps.project.shape import OBJECT, SCHEMA, TEXT, Key, Keys
from headwater.steps.project.triggers.base import NAME, Entry


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


def declare_stream(entry: Entry, *, access: bool) -> StreamDeclaration:
    """The stream of a config that was found sound."""
    config = entry.config
    keep: dict[str, Any] = config.get("keep") or {}
    return StreamDeclaration(
        file=entry.file,
        language=entry.language,
        name=config["name"],
        schema=cast("JsonSchema | None", config.get("schema")) or None,
        access=access,
        line=entry.line,
        presence=bool(config.get("presence")),
        rollup=float(config.get("rollup") or 0) / 1000,
        ttl=config.get("ttl"),
        keep_newest=keep.get("newest"),
        keep_age=keep.get("age"),
    )
