"""User values <-> JSON text, by the value rules of `spec/WORKER.md`. Owns nothing else; knows no message.

Almost every value is plain, so one fast pass is tried first; only what it refuses is walked in Python, which
also finds the path of the culprit.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import json
import math
import re
import sys
import types
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import orjson

from headwater.errors import InvalidInput
from headwater.jsonvalue import has_long_integer

_MORE = (BaseException, Awaitable, Iterable)

MAX_DEPTH = 250
"""Deepest nesting of a value. orjson refuses 255 levels; a value that holds itself ends here too."""

_MAX_INT_64 = 2**64
_SHIFT = 0xE0800 - 0xD800
"""From half of a character to what stands for it until the text is JSON: code points that nobody uses."""
_HALVES = re.compile("[\ud800-\udfff]")
_SIGNS = re.compile("[\U000e0800-\U000e0fff]")
# Not orjson's own dates: it drops a zero of some times (0.01 s becomes 0.1 s) and the seconds of time zones.
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME
_MOMENTS = datetime.date | datetime.time  # a datetime is a date


def to_json(value: Any, where: str = "data") -> bytes:
    """The JSON text of a user value; `where` names the value in errors.

    :raises InvalidInput: something in it has no JSON form; the message names its path and type.
    """
    try:
        return orjson.dumps(value, default=_simpler, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        return orjson.dumps(plain(value, where), option=_OPTIONS)


def operations_json(operations: Any) -> bytes:
    """The JSON text of the operations of an update. Half of a character (a lone surrogate) in a text that an
    operation brings goes as an escape: the server joins those that are appended one after the other.

    :raises InvalidInput: see `to_json`.
    """
    try:
        return orjson.dumps(operations, default=_simpler, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        whole = cast(list[Any], operations) if isinstance(operations, list) else [operations]
        text = to_json([_with_signs(one) for one in whole], "ops").decode()
        return _SIGNS.sub(lambda sign: f"\\u{ord(sign[0]) - _SHIFT:04x}", text).encode()


def _with_signs(operation: Any) -> Any:
    if not isinstance(operation, Mapping):
        return operation
    members = cast(Mapping[Any, Any], operation)
    value = members.get("value")
    if not isinstance(value, str):
        return members
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return {**members, "value": _HALVES.sub(lambda half: chr(ord(half[0]) + _SHIFT), whole)}


def from_json(text: bytes) -> Any:
    """The value of a JSON text.

    :raises InvalidInput: it is not JSON.
    """
    try:
        value = orjson.loads(text)
        # Of an integer beyond 64 bits the fast parser makes a float without a word.
        return json.loads(text) if has_long_integer(text) else value
    except orjson.JSONDecodeError:
        pass
    try:
        # Some texts that the standard parser takes are too odd for the fast one: lone surrogates, NaN.
        return plain(json.loads(text), "data")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"This is not JSON: {error}.") from None


def as_dict(value: Any) -> dict[str, Any] | None:
    """The fields of a model object (Pydantic 1 and 2, dataclass instance); None for anything else."""
    if isinstance(value, type):
        return None
    if hasattr(value, "__pydantic_serializer__") and hasattr(value, "model_dump"):
        return cast(dict[str, Any], value.model_dump(mode="json", by_alias=True))
    if is_dataclass(value):
        # As in the fast pass and in Pydantic, a leading underscore means private.
        return {field.name: getattr(value, field.name) for field in fields(value) if field.name[0] != "_"}
    if hasattr(value, "__fields_set__") and hasattr(value, "dict"):
        return cast(dict[str, Any], value.dict(by_alias=True))
    return None


def _plain_object(value: Any) -> dict[str, Any] | None:
    """The attributes of an object of a class of the project. What is an error, can be awaited or gone through
    is more than its attributes."""
    kind = cast(type[Any], type(value))
    if issubclass(kind, _MORE) or not _is_of_project(kind):
        return None
    attributes: dict[str, Any] = getattr(value, "__dict__", {})
    return {name: member for name, member in attributes.items() if name[0] != "_"}


def _is_of_project(kind: type[Any]) -> bool:
    loader: Any = getattr(sys.modules.get(kind.__module__), "__loader__", None)
    return kind is types.SimpleNamespace or getattr(loader, "of_project", False) is True


def _simpler(value: Any) -> Any:
    """What the fast pass does not know, in a form that it does; TypeError sends it to the slow one."""
    if (model := as_dict(value)) is not None:
        return model
    if isinstance(value, _MOMENTS):
        return value.isoformat()
    if isinstance(value, set | frozenset | collections.deque | tuple):
        return list(cast(Iterable[Any], value))
    if isinstance(value, decimal.Decimal):
        return _number(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return dict(cast(Mapping[Any, Any], value))
    if (attributes := _plain_object(value)) is not None:
        return attributes
    raise TypeError


def _number(value: int | decimal.Decimal) -> orjson.Fragment | None:
    if isinstance(value, decimal.Decimal) and not value.is_finite():
        return None
    return orjson.Fragment(str(value).encode())


def plain(value: Any, path: str, depth: int = 0) -> Any:
    """The value in terms that the fast pass surely takes.

    :raises InvalidInput: see `to_json`.
    """
    if depth > MAX_DEPTH:
        raise InvalidInput(f"{_short(path)} is nested more than {MAX_DEPTH} deep, or holds itself.")
    if isinstance(value, enum.Enum):
        return plain(value.value, path, depth)
    if value is None or isinstance(value, bool | orjson.Fragment):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return _whole(value, path)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _compound(value, path, depth)


def _compound(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, decimal.Decimal):
        return _number(value)
    if isinstance(value, _MOMENTS):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {_key(key, path): plain(member, f"{path}.{key}", depth + 1) for key, member in items}
    if isinstance(value, list | tuple | set | frozenset | collections.deque):
        members = enumerate(cast(Iterable[Any], value))
        return [plain(member, f"{path}[{index}]", depth + 1) for index, member in members]
    return _model(value, path, depth)


def _model(value: Any, path: str, depth: int) -> Any:
    try:
        model = as_dict(value)
    except Exception as error:
        raise InvalidInput(
            f"{_short(path)} ({_type_name(value)}) cannot be turned into JSON: {error}"
        ) from error
    if model is not None:
        return plain(model, path, depth + 1)
    tolist: Callable[[], Any] | None = getattr(value, "tolist", None)
    if tolist is not None and type(value).__module__.partition(".")[0] == "numpy":
        return plain(tolist(), path, depth + 1)
    if (attributes := _plain_object(value)) is not None:
        return plain(attributes, path, depth + 1)
    name = _type_name(value)
    kind = f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
    raise InvalidInput(f"{_short(path)} is {kind}, which has no JSON form.", hint=_hint(value))


def _hint(value: Any) -> str:
    if isinstance(value, Awaitable):
        return "An `await` is missing."
    if isinstance(value, bytes | bytearray | memoryview):
        return "Decode it to text, or encode it as base64."
    if isinstance(value, BaseException):
        return 'Write what of it is meant: {"message": str(error)}, or repr(error).'
    return "Write a dict, a dataclass or a Pydantic model."


def _whole(value: int, path: str) -> Any:
    if -_MAX_INT_64 // 2 <= value < _MAX_INT_64:
        return int(value)
    try:
        return _number(int(value))
    except ValueError:
        raise InvalidInput(f"{_short(path)} is an integer of too many digits.") from None


def _key(key: Any, path: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return clean(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int | float | uuid.UUID | decimal.Decimal):
        return str(key)
    if isinstance(key, _MOMENTS):
        return key.isoformat()
    raise InvalidInput(f"{_short(path)} has a key of type {_type_name(key)}; keys must be text.")


def clean(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD (pairs become the character they mean)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return str(text)


def _type_name(value: Any) -> str:
    kind = cast(type[Any], type(value))
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _short(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:120]} ... {path[-60:]}"
