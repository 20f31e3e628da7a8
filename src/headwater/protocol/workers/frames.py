"""The frames of `spec/WORKER.md`: messages <-> bytes, what each message must hold, the limits.

Owns framing, the incremental decoder and the table of members. May know nothing of sockets, processes,
threads or user code. Callers import all of
it from `messages.py`, where the messages are made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, NamedTuple, cast

import orjson

from headwater.errors import InvalidInput, ProtocolFault, TooLarge

DEFAULT_LIMIT = 64 * 1024 * 1024
"""The limit on a frame's length in bytes where nobody says another."""

JOIN_BELOW = 128 * 1024
"""Frames with at most this many bytes of sections are one buffer; larger sections are not copied."""

Sender = Literal["server", "worker"]
Section = bytes | bytearray | memoryview

_U32 = struct.Struct(">I")
_PREFIX = struct.Struct(">II")


class Message(NamedTuple):
    """One frame: its header (with the type in member "t") and its sections."""

    header: dict[str, Any]
    sections: tuple[Section, ...] = ()

    @property
    def type(self) -> str:
        """The message's type."""
        return cast(str, self.header["t"])

    def section(self, member: str) -> bytes | None:
        """The section whose index stands in the header under `member`; None where the member is missing."""
        index = self.header.get(member)
        return None if index is None else bytes(self.sections[int(index)])


# --- what each message must hold: member -> allowed types; a trailing "?" marks one that may be missing ---
# What a kind of invocation adds to `invoke` and `result` is read, and checked, by the kind alone.

_OPTIONAL_INT: tuple[type, ...] = (int, NoneType)
_OPTIONAL_NUMBER: tuple[type, ...] = (int, float, NoneType)
_OPTIONAL_TEXT: tuple[type, ...] = (str, NoneType)
_OPTIONAL_BOOL: tuple[type, ...] = (bool, NoneType)

_FROM_SERVER: dict[str, dict[str, tuple[type, ...]]] = {
    "load": {"generation": (int,), "root": (str,), "folders": (list,), "files": (list,)},
    "streams": {"names": (list,)},
    "invoke": {
        "id": (int,), "kind": (str,), "file": (str,), "step": (str,), "trace": (str,), "flows": (list,),
        "thread": (bool,), "origin?": (dict,),
    },
    "result": {"id": (int,), "ok": (bool,), "error?": (dict,), "versions?": (list,)},
    "withdraw": {"id": (int,)},
    "cancel": {"id": (int,), "patience?": _OPTIONAL_NUMBER},
    "ping": {"n": (int,)},
    "drain": {"linger?": _OPTIONAL_NUMBER},
    "end": {},
}  # fmt: skip

_FROM_WORKER: dict[str, dict[str, tuple[type, ...]]] = {
    "hello": {"protocol": (int,), "language": (str,), "language_version": (str,), "pid": (int,)},
    "manifest": {
        "generation": (int,), "steps": (list,), "streams": (list,), "problems": (list,), "auth?": (list,),
    },
    "loading": {"file": (str,)},
    "started": {"id": (int,)},
    "call": {
        "id": (int,), "invocation": _OPTIONAL_INT, "service": (str,), "method": (str,), "step?": (str,),
        "trace?": (str,), "auth?": (dict,), "origin?": (dict,),
    },
    "result": {"id": (int,), "ok": (bool,), "error?": (dict,)},
    "withdrawn": {"id": (int,), "ok": (bool,)},
    "pong": {"n": (int,)},
    "log": {
        "level": (str,), "message": (str,), "fields": (dict,), "invocation": _OPTIONAL_INT, "trace": (str,),
        "step": (str,), "once?": (str,),
    },
    "blocked": {"id": (int,), "step": (str,), "seconds": (int, float)},
}  # fmt: skip

_OF_SERVICE: dict[str, dict[str, tuple[type, ...]]] = {
    "streams": {
        "stream": (str,), "group": (str,), "item?": _OPTIONAL_TEXT, "if_version?": _OPTIONAL_INT,
        "ttl?": _OPTIONAL_NUMBER, "key?": _OPTIONAL_TEXT, "if_exists?": _OPTIONAL_BOOL,
        "user?": _OPTIONAL_TEXT,
    },
    "runs": {
        "run": (str,), "attempt": (int,), "name?": _OPTIONAL_TEXT, "stream?": _OPTIONAL_TEXT,
        "group?": _OPTIONAL_TEXT, "item?": _OPTIONAL_TEXT,
    },
    "events": {
        "topic": (str,), "group?": _OPTIONAL_TEXT, "delay?": _OPTIONAL_NUMBER, "key?": _OPTIONAL_TEXT,
        "unknown?": _OPTIONAL_TEXT,
    },
    "state": {
        "group?": _OPTIONAL_TEXT, "item?": _OPTIONAL_TEXT, "if_version?": _OPTIONAL_INT,
        "ttl?": _OPTIONAL_NUMBER, "key?": _OPTIONAL_TEXT, "if_exists?": _OPTIONAL_BOOL,
        "after?": _OPTIONAL_TEXT, "limit?": _OPTIONAL_INT,
    },
}  # fmt: skip
"""What a call adds for its service. One of a service that is not here is for the server to refuse."""


class _Rules(NamedTuple):
    """What one message must hold: the types of its members, and which it must have."""

    types: dict[str, frozenset[type]]
    required: frozenset[str]


def _rules(table: dict[str, dict[str, tuple[type, ...]]]) -> dict[str, _Rules]:
    return {name: _rules_of(members) for name, members in table.items()}


def _rules_of(members: dict[str, tuple[type, ...]]) -> _Rules:
    types = {
        name.rstrip("?"): frozenset((*types, NoneType) if name.endswith("?") else types)
        for name, types in members.items()
    }
    may_be_missing = (name for name, allowed in types.items() if NoneType in allowed)
    return _Rules(types, frozenset(types).difference(may_be_missing))


_RULES: dict[Sender, dict[str, _Rules]] = {
    "server": _rules(_FROM_SERVER),
    "worker": _rules(_FROM_WORKER),
}
_CALL_RULES = _rules({name: _FROM_WORKER["call"] | members for name, members in _OF_SERVICE.items()})
"""What a call must hold, by the service that it names."""


def check(message: Message, sender: Sender) -> None:
    """See that a message is one that `sender` may send, with the members it must have, of the right types.

    :raises ProtocolFault: it is not; the message names the member at fault.
    """
    header, sections = message
    name = header.get("t")
    rules = _RULES[sender].get(name) if isinstance(name, str) else None
    if rules is None:
        raise ProtocolFault(f"The {sender} sent a message of unknown type {name!r:.80}.")
    if name == "call":
        rules = _CALL_RULES.get(str(header.get("service")), rules)
    # One walk over what is there instead of one over what may be: a call may hold many members and holds few.
    types = rules.types
    for member, value in header.items():
        allowed = types.get(member)
        if allowed is not None:
            # `type(...)` instead of isinstance: it is faster and keeps a boolean from passing for a number.
            if type(value) not in allowed:
                raise _bad_member(name, member, value)
        elif member.endswith("_section") and not (type(value) is int and 0 <= value < len(sections)):
            raise ProtocolFault(f'A "{name}" message points at a section that it does not have: "{member}".')
    if not rules.required <= header.keys():
        raise _bad_member(name, next(one for one in types if one in rules.required - header.keys()), None)


def _bad_member(name: Any, member: str, value: Any) -> ProtocolFault:
    return ProtocolFault(f'A "{name}" message has a bad member "{member}": {type(value).__name__}.')


# --- frames ---


def encode(message: Message, *, limit: int = DEFAULT_LIMIT) -> list[Section]:
    """The buffers of one frame, to be written one after the other; small frames are a single buffer.

    :raises TooLarge: the frame would pass `limit` bytes.
    :raises InvalidInput: the header holds a whole number that nobody can read.
    """
    header, sections = message
    if sections:
        header = {**header, "sections": [len(section) for section in sections]}
    head = _header_bytes(header)
    carried = sum(map(len, sections))
    size = 4 + len(head) + carried
    if size > limit:
        raise TooLarge(
            f"A message of {size} bytes passes the limit of {limit} between server and worker.",
            hint="Raise workers.max_frame_bytes, or send less at once.",
            limit=limit,
            size=size,
        ).at("workers.max_frame_bytes", limit)
    prefix = _PREFIX.pack(size, len(head))
    if carried <= JOIN_BELOW:
        return [b"".join((prefix, head, *sections))]
    return [prefix + head, *sections]


def _header_bytes(header: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(header)
    except orjson.JSONEncodeError:
        # Lone surrogates, or an integer beyond 64 bits: rare, so it may be slow.
        return orjson.dumps(_sayable(header))


def _sayable(value: Any) -> Any:
    """The same plain value as its reader understands it: lone surrogates replaced (names and ids may hold
    them, frames may not), integers beyond 64 bits as the nearest number.

    :raises InvalidInput: an integer is larger than any number of JSON that is read.
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {_sayable(str(key)): _sayable(member) for key, member in items}
    if isinstance(value, list | tuple):
        return [_sayable(member) for member in cast(Sequence[Any], value)]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            raise InvalidInput("A whole number is too large for JSON.") from None
    return value


class Decoder:
    """Bytes in, checked messages out. `sender` is who wrote the bytes, `limit` the largest frame in bytes.

    After a fault the decoder is of no more use: the peer is out of step and its connection must end.
    """

    __slots__ = ("_buffer", "_limit", "_sender")

    def __init__(self, sender: Sender, *, limit: int = DEFAULT_LIMIT) -> None:
        self._sender: Sender = sender
        self._limit = limit
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are held; not 0 at end of file means that it was cut off."""
        return len(self._buffer)

    def feed(self, data: Section) -> Iterator[Message]:
        """Take the next bytes and give the messages that they complete, one by one, in order.

        The messages before a faulty one come out first. All must be taken before the next bytes are fed.
        Nearly always the bytes are whole frames, which are cut from them as they are; only what is unfinished
        is kept.

        :raises ProtocolFault: the frame is malformed, above the limit, or not allowed from this sender.
        """
        given: bytes | bytearray = data if type(data) is bytes else bytes(data)
        if self._buffer:
            self._buffer += given
            given = self._buffer
        start, size = 0, len(given)
        try:
            while size - start >= 4:
                (length,) = _U32.unpack_from(given, start)
                if not 4 <= length <= self._limit:
                    raise ProtocolFault(
                        f"A frame of {length} bytes is outside the limits of 4 to {self._limit}."
                    )
                end = start + 4 + length
                if end > size:
                    break
                message = _parse(given, start + 4, end)
                check(message, self._sender)
                start = end
                yield message
        finally:
            if given is self._buffer:
                del self._buffer[:start]
            else:
                self._buffer += given[start:]


def _parse(given: bytes | bytearray, start: int, end: int) -> Message:
    """The message of the frame whose header's length stands at `start`. Nearly all have one section or none,
    which are seen without a walk."""
    (head_size,) = _U32.unpack_from(given, start)
    head_end = start + 4 + head_size
    if head_end > end:
        raise ProtocolFault("A frame's header is longer than the frame.")
    try:
        header = orjson.loads(given[start + 4 : head_end])
    except orjson.JSONDecodeError as error:
        raise ProtocolFault(f"A frame's header is not JSON: {error}.") from None
    if not isinstance(header, dict):
        raise ProtocolFault("A frame's header is not an object.")
    header = cast(dict[str, Any], header)
    lengths = header.pop("sections", None)
    if head_end == end and lengths is None:
        return Message(header)
    if type(given) is bytes:
        if lengths == [end - head_end] and type(lengths[0]) is int:
            return Message(header, (given[head_end:end],))
        return Message(header, _cut(given, lengths, head_end, end))
    with memoryview(given) as view:  # Whose parts are copied once, where those of a bytearray are twice.
        return Message(header, _cut(view, lengths, head_end, end))


def _cut(given: bytes | memoryview, lengths: Any, start: int, end: int) -> tuple[bytes, ...]:
    if lengths is None:
        lengths = []
    if not isinstance(lengths, list):
        raise ProtocolFault("A frame's section lengths are not a list.")
    sections: list[bytes] = []
    for length in cast(list[Any], lengths):
        if type(length) is not int or not 0 <= length <= end - start:
            raise ProtocolFault("A frame's section lengths do not add up.")
        sections.append(bytes(given[start : start + length]))
        start += length
    if start != end:
        raise ProtocolFault("A frame's section lengths do not add up.")
    return tuple(sections)
