"""What a service is: a table of methods, each of which says whether it reads. Owns the shapes alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from headwater.errors import InvalidInput
from headwater.model import PLAIN, Origin, Terms
from headwater.protocol.workers.messages import Message

_TERMS = frozenset(Terms._fields)

Running = asyncio.Future[Any] | Coroutine[Any, Any, Any]


def data_of(call: Message) -> bytes:
    """The JSON text that a call carries.

    :raises InvalidInput: it carries none.
    """
    if not call.sections:
        raise InvalidInput(f"A call {call.header['method']!r} must carry data.")
    return bytes(call.sections[0])


def terms_of(call: Message) -> Terms:
    """The terms of a write, from the members that every service calls the same."""
    header = call.header
    if _TERMS.isdisjoint(header):
        return PLAIN
    if_exists = header.get("if_exists") is True
    return Terms(header.get("if_version"), header.get("ttl"), header.get("key"), if_exists)


class Value(NamedTuple):
    """What a call gives: JSON text (None for null), and the version of each item in it."""

    text: bytes | None = None
    versions: Sequence[int] = ()


NOTHING = Value()


def nothing(_result: Any) -> Value:
    """The value of a method that gives none."""
    return NOTHING


class Method(NamedTuple):
    """One method. `start` hands the worker's message on, with who makes the call, which has begun when it
    returns; `value` makes what it came to into what travels. `reads`: it sees the writes before it, and the
    writes after it wait for it. `alone`: it waits for all that was called before it, and all that is called
    after it waits for it. `larger` answers the method that is taken instead for a call that is too much for
    the loop."""

    start: Callable[[Message, Origin], Running]
    value: Callable[[Any], Value] = nothing
    reads: bool = False
    alone: bool = False
    larger: Callable[[Message], Method | None] | None = None


Service = Mapping[str, Method]
"""The methods of a service, by the name that the protocol gives them."""
