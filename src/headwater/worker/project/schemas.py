"""A file's `config` -> plain JSON values. Owns how models become JSON Schema; judges no config."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, cast

import orjson

from headwater.errors import HeadwaterError, InvalidInput
from headwater.worker.values import plain

MAX_DEPTH = 100
"""Deepest nesting of a config."""


class ConfigNotJson(HeadwaterError):
    """Something in a config has no JSON form; the message names its path."""

    code = "CONFIG_NOT_JSON"


class SchemaNotConvertible(HeadwaterError):
    """A model that gives no JSON Schema; the message names its path."""

    code = "SCHEMA_NOT_CONVERTIBLE"


def plain_config(config: Mapping[Any, Any]) -> dict[str, Any]:
    """The config as plain JSON values; models anywhere in it become their JSON Schemas.

    :raises ConfigNotJson: a value has no JSON form.
    :raises SchemaNotConvertible: a model gives no JSON Schema.
    """
    converted = _convert(config, "config", 0)
    try:
        return cast(dict[str, Any], orjson.loads(orjson.dumps(plain(converted, "config"))))
    except InvalidInput as error:
        raise ConfigNotJson(error.message, hint=error.hint) from None


def _convert(value: Any, path: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ConfigNotJson(f"{path[:120]} is nested more than {MAX_DEPTH} deep, or holds itself.")
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {key: _convert(member, f"{path}.{key}", depth + 1) for key, member in items}
    if isinstance(value, list | tuple):
        members = enumerate(cast(list[Any], value))
        return [_convert(member, f"{path}[{index}]", depth + 1) for index, member in members]
    if _is_model(value):
        return _schema(value, path)
    return value


def _is_model(value: Any) -> bool:
    if isinstance(value, type | types.GenericAlias | types.UnionType) or typing.get_origin(value) is not None:
        return True
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.TypeAdapter)


def _schema(model: Any, path: str) -> dict[str, Any]:
    try:
        if hasattr(model, "model_json_schema"):
            return cast(dict[str, Any], model.model_json_schema())
        if isinstance(model, type) and hasattr(model, "__fields_set__") and hasattr(model, "schema"):
            return cast(dict[str, Any], cast(Any, model).schema())
        import pydantic

        adapter = cast(Any, pydantic.TypeAdapter)
        converter = model if isinstance(model, adapter) else adapter(model)
        return cast(dict[str, Any], cast(Any, converter).json_schema())
    except Exception as error:
        name: str = getattr(cast(object, model), "__name__", str(cast(object, model)))
        said = str(error).partition("\n")[0]
        raise SchemaNotConvertible(f"{path} ({name}) gives no JSON Schema: {said}") from error
