"""The members of calls about items, whichever service they name: ids as text, the terms of a write. Keeps
wrong types on this side: the server would rightly take them for a broken worker."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping
from typing import Any

from headwater.errors import InvalidInput


def id_text(value: Any) -> Any:
    """An id as text; what cannot be one goes on as it is, and the call fails with it."""
    if isinstance(value, int | uuid.UUID) and not isinstance(value, bool):
        return str(value)
    return value


def add_terms(
    members: dict[str, Any],
    if_version: int | None,
    ttl: float | None,
    key: str | None,
    if_exists: bool = False,
) -> None:
    """Add the terms of a write, those that were given."""
    if if_version is not None:
        members["if_version"] = if_version
    if ttl is not None:
        members["ttl"] = ttl
    if key is not None:
        members["key"] = key
    if if_exists is not False:
        members["if_exists"] = if_exists


def check_name(what: str, value: Any) -> None:
    """See that an id is text.

    :raises InvalidInput: it is none.
    """
    if not isinstance(value, str):
        article = "An" if what[0] in "aeiou" else "A"
        said = f" {value}" if isinstance(value, float) else ""
        raise InvalidInput(
            f"{article} {what} is text, not {type(value).__name__}{said}.",
            hint="Whole numbers become text; write anything else as text yourself.",
        )


def check_terms(members: Mapping[str, Any]) -> None:
    """See that the terms of a write, those that are there, have the right types.

    :raises InvalidInput: one has not.
    """
    version = members.get("if_version", 0)
    if type(version) is not int or abs(version) >= 2**63:
        raise InvalidInput("if_version is a whole number.")
    check_seconds("ttl", members.get("ttl", 0))
    if not isinstance(members.get("key", ""), str):
        raise InvalidInput("key is a text.")
    if not isinstance(members.get("if_exists", False), bool):
        raise InvalidInput("if_exists is true or false.")


def check_seconds(name: str, value: object) -> None:
    """See that a member is a number of seconds, as JSON has it.

    :raises InvalidInput: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInput(f"{name} is a number of seconds, not {type(value).__name__}.")
    if not abs(value) <= sys.float_info.max:
        raise InvalidInput(f"{name} is a number of seconds that is finite.")
