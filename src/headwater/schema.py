"""Schemas of streams and of requests: compiles them and names each field at fault. Knows no store and no
wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import jsonschema_rs

from headwater.errors import FieldFault, InvalidInput, SchemaMismatch
from headwater.jsonvalue import is_list, is_object

MAX_FAULTS = 20
"""How many faults one error names; a value broken in a thousand places needs no thousand lines."""

MASK = "the value"
"""What reasons call the value at fault. They reach logs and other people, and it may be a password."""

JsonSchema = Mapping[str, Any]


class Schema:
    """A compiled JSON Schema.

    :raises InvalidInput: (when made) the schema is not a valid JSON Schema; the message says why.
    """

    __slots__ = ("_validator", "declares_id")

    def __init__(self, schema: JsonSchema) -> None:
        document = dict(schema)
        try:
            self._validator = jsonschema_rs.validator_for(document, retriever=_refuse_to_fetch, mask=MASK)
        except (ValueError, TypeError, jsonschema_rs.ReferencingError) as fault:
            reason = getattr(fault, "message", None) or str(fault)
            raise InvalidInput(f"Not a valid JSON Schema: {reason}") from None
        self.declares_id = _declares_id(document, document, depth=8)

    def faults(self, value: Any) -> list[FieldFault]:
        """What is wrong with a value: empty when it fits, else at most `MAX_FAULTS` fields with reasons."""
        if self._validator.is_valid(value):
            return []
        found: list[FieldFault] = []
        for fault in self._validator.iter_errors(value):
            found += [FieldFault(field, _reason(fault)) for field in _fields(fault)[:MAX_FAULTS]]
            if len(found) >= MAX_FAULTS:
                break
        return found[:MAX_FAULTS]


def _refuse_to_fetch(uri: str) -> NoReturn:
    """Compiling happens on the loop and must not wait for a network, nor read files it is not given."""
    raise ValueError(f"{uri} is another document, and none is fetched")


def _fields(fault: jsonschema_rs.ValidationError) -> list[str]:
    """The dotted paths of the fields at fault; missing and unexpected ones are named themselves, not their
    parent."""
    within = [str(part) for part in fault.instance_path]
    named: list[str] = getattr(fault.kind, "unexpected", [])
    if fault.kind.name == "required":
        named = [str(getattr(fault.kind, "property", ""))]
    return [".".join([*within, name]) for name in named] or [".".join(within)]


def _reason(fault: jsonschema_rs.ValidationError) -> str:
    """The validator's message, cut where it quotes a long schema. Of a null that is not allowed it also says
    what to write: in many languages a field without a value is null, in JSON Schema it is not there."""
    message = fault.message if len(fault.message) <= 300 else fault.message[:297] + "..."
    return f"{message}; {_NULL_HINT}" if fault.instance is None else message


_NULL_HINT = (
    "leave an optional field out, or let the schema allow null "
    '(`"type": ["string", "null"]`, `str | None` in Pydantic, `.nullable()` in zod)'
)


def _declares_id(schema: object, root: dict[str, Any], *, depth: int) -> bool:
    """Whether the schema speaks of a member "id", looking through local references and combinations."""
    if not is_object(schema) or depth == 0:
        return False
    properties, required = schema.get("properties"), schema.get("required")
    if (is_object(properties) and "id" in properties) or (is_list(required) and "id" in required):
        return True
    branches: list[Any] = []
    for key in ("allOf", "anyOf", "oneOf"):
        among = schema.get(key)
        branches += among if is_list(among) else []
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        branches.append(_resolve(reference, root))
    return any(_declares_id(branch, root, depth=depth - 1) for branch in branches)


def _resolve(reference: str, root: dict[str, Any]) -> Any:
    node: Any = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not is_object(node) or key not in node:
            return None
        node = node[key]
    return node


def check_item(schema: Schema | None, value: dict[str, Any], *, stream: str, group: str, item: str) -> None:
    """Check an item's data, given with its `id` inside, against its stream's schema.

    The id counts only where the schema speaks of it, so that a strict schema without it stays usable.

    :raises SchemaMismatch: naming stream, group, id and each field at fault.
    """
    if schema is None:
        return
    faults = schema.faults(value if schema.declares_id else {k: v for k, v in value.items() if k != "id"})
    if faults:
        first = f"{faults[0].field}: {faults[0].message}" if faults[0].field else faults[0].message
        raise SchemaMismatch(
            f"Item {item!r} of group {group!r} breaks the schema of stream {stream!r}: {first}",
            faults,
            stream=stream,
            group=group,
            id=item,
        )
