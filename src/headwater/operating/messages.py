"""What an operator and a running server say to each other, as lines. Pure, no I/O.

One connection is one question. The command sends one line, `{"method": NAME, "args": {...}}`. The server
answers with any number of lines `{"entry": ...}`, then with `{"end": true}` or with
`{"error": {code, message, hint?, ...}}`. A connection that ends without either of them was cut off. All text
is UTF-8 JSON; a line ends with "\n".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import orjson

from headwater.errors import HeadwaterError, InvalidInput, ProtocolFault, error_of
from headwater.jsonvalue import text_to_keep

END = b'{"end":true}\n'


class Question(NamedTuple):
    """What is asked: the method's name, and its arguments by name."""

    method: str
    args: Mapping[str, Any]

    def encode(self) -> bytes:
        """The line that asks it.

        :raises InvalidInput: an argument has no JSON form, as a number that is too large.
        """
        try:
            return text_to_keep({"method": self.method, "args": dict(self.args)}) + b"\n"
        except orjson.JSONEncodeError as fault:
            raise InvalidInput(f"The arguments of {self.method} are not JSON: {fault}.") from None


def read_question(line: bytes) -> Question:
    """The question of a line.

    :raises ProtocolFault: it is none.
    """
    said = _object(line)
    method, args = said.get("method"), said.get("args", {})
    if not isinstance(method, str) or not isinstance(args, dict):
        raise ProtocolFault('A question looks like {"method": "queue.list", "args": {}}.')
    return Question(method, cast("dict[str, Any]", args))


def entry_line(entry: Any) -> bytes:
    """The line of one entry of an answer."""
    return text_to_keep({"entry": entry}) + b"\n"


def error_line(error: HeadwaterError) -> bytes:
    """The line of an error, which ends an answer."""
    return text_to_keep({"error": error.to_dict()}) + b"\n"


def read_answer(lines: Iterable[bytes]) -> Iterator[Any]:
    """The entries of an answer, as they come.

    :raises HeadwaterError: the server says so, with its code.
    :raises ProtocolFault: the answer is none, or was cut off.
    """
    for line in lines:
        said = _object(line)
        if "entry" in said:
            yield said["entry"]
        elif "error" in said:
            raise _error_of(said["error"])
        elif "end" in said:
            return
        else:
            raise ProtocolFault("The server answered what this command does not know.")
    raise ProtocolFault(
        "The server ended before it had answered.",
        hint="Whether it was done is not known; look, then ask again.",
    )


def text_of(args: Mapping[str, Any], name: str) -> str:
    """An argument that must be a non-empty text.

    :raises InvalidInput: it is not.
    """
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f'"{name}" is a non-empty text.', field=name)
    return value


def maybe_text_of(args: Mapping[str, Any], name: str) -> str | None:
    """An argument that may be left out.

    :raises InvalidInput: it is no non-empty text.
    """
    return None if args.get(name) is None else text_of(args, name)


def _object(line: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        raise ProtocolFault(f"A line is not JSON: {fault}.") from None
    if not isinstance(said, dict):
        raise ProtocolFault("A line is a JSON object.")
    return cast("dict[str, Any]", said)


def _error_of(told: Any) -> HeadwaterError:
    """The error that a server told, as one of its own kind where this version knows it."""
    members: dict[str, Any] = dict(told)
    known = error_of(members) or error_of({**members, "code": HeadwaterError.code})
    return known or HeadwaterError(str(members.get("message", "")))
