"""What a client of protocol v1 says: its messages as JSON text, and as what they ask. Pure, no I/O, no rule
about when what may be said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from headwater.errors import ProtocolFault
from headwater.jsonvalue import is_list, is_object, long_integer, text_to_keep, without_halves
from headwater.model import GroupKey, WriteKind
from headwater.protocol.clients.reading import MOST_VALUES, check_values
from headwater.protocol.clients.wire import Brought, Cursor, Wish

_NUMBER_LIMIT = 2**53


class Subscribe(NamedTuple):
    """`sub`."""

    wish: Wish
    state: dict[str, Any] | None

    @property
    def sub(self) -> int:
        """The client's number for it."""
        return self.wish.label


class Unsubscribe(NamedTuple):
    """`unsub`."""

    sub: int


class More(NamedTuple):
    """`more`. `floor` is where the client's window begins by now; 0 says nothing."""

    sub: int
    limit: int
    floor: int = 0


class SetState(NamedTuple):
    """`state`."""

    sub: int
    state: dict[str, Any]
    ask: int | None = None
    """The client's number for the question, which the answer repeats."""


class Cancel(NamedTuple):
    """`cancel`. Without an item it is the subscription's."""

    sub: int
    item: str | None
    ask: int | None
    """The client's number for the question, which the answer repeats."""


class WriteItem(NamedTuple):
    """`set`, `update` or `delete`.

    `body` is the JSON text of the item or of the operations, empty for a delete. `version` is the one that
    the item must have (0: it must not exist), in the line of history `epoch`; None says nothing.
    """

    ask: int
    kind: WriteKind
    group: GroupKey
    item: str
    body: bytes
    key: str | None
    epoch: str | None
    version: int | None


class SendEvent(NamedTuple):
    """`send`. `event` is the JSON text of what the client gave as one."""

    ask: int
    group: GroupKey
    item: str | None
    event: bytes


class GiveToken(NamedTuple):
    """`auth`."""

    ask: int
    token: str


class Ping(NamedTuple):
    """`ping`."""


Request = Subscribe | Unsubscribe | More | SetState | Cancel | WriteItem | SendEvent | GiveToken | Ping


def parse_request(text: str, *, max_id_bytes: int, max_values: int = MOST_VALUES) -> Request:
    """Decode one client message.

    :raises ProtocolFault: not a message of the protocol; `details["field"]` names the member at fault.
    """
    check_values(text, max_values)
    message = _read(text)
    if not is_object(message):
        raise ProtocolFault("A message must be a JSON object.")
    kind = message.get("t")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise ProtocolFault(
            f'There is no message of type {kind!r}; "t" is one of {", ".join(_PARSERS)}.', field="t"
        )
    try:
        if (place := long_integer(text)) is not None:
            raise ProtocolFault(
                f'The number at "{place}" has more than 64 bits: give it as text.', field=place
            )
        return parse(message, max_id_bytes)
    except ProtocolFault as fault:
        _address(fault, message)
        raise


def _read(text: str) -> Any:
    """The message as JSON. JavaScript may write half of a character: in values it becomes U+FFFD, in names it
    is refused, so that whoever waits for an answer has one."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        whole = without_halves(text)
        if whole is None:
            raise ProtocolFault(f"The message is not JSON: {fault}.") from None
    try:
        message = orjson.loads(whole)
    except orjson.JSONDecodeError as fault:
        raise ProtocolFault(f"The message is not JSON: {fault}.") from None
    if is_object(message):
        for member in ("stream", "group", "id", "key"):
            if "\ufffd" in str(message.get(member)):
                broken = ProtocolFault(f'"{member}" holds half of a character.', field=member)
                _address(broken, message)
                raise broken
    return message


def _address(fault: ProtocolFault, message: dict[str, Any]) -> None:
    """Name in its fault what a message was to begin, or asked: whoever waits for the answer learns of it."""
    name = _NUMBERS.get(str(message.get("t")), "")
    if type(message.get(name)) is int:
        fault.details[name] = message[name]


def _subscribe(message: dict[str, Any], max_id_bytes: int) -> Subscribe:
    stream = _name(message, "stream", max_id_bytes)
    group = _name(message, "group", max_id_bytes)
    item = None if message.get("id") is None else _name(message, "id", max_id_bytes)
    limit = None if message.get("limit") is None else _whole(message, "limit", least=1)
    state = None if message.get("state") is None else _object(message, "state")
    return Subscribe(
        Wish(GroupKey(stream, group), item, _sub(message), None if item else limit, _brought(message)), state
    )


def _cancel(message: dict[str, Any], max_id_bytes: int) -> Cancel:
    item = None if message.get("id") is None else _name(message, "id", max_id_bytes)
    return Cancel(_sub(message), item, _ask(message))


def _more(message: dict[str, Any], _: int) -> More:
    floor = 0 if message.get("floor") is None else _whole(message, "floor")
    return More(_sub(message), _whole(message, "limit", least=1), floor)


def _ask(message: dict[str, Any]) -> int | None:
    return None if message.get("ask") is None else _whole(message, "ask")


def _brought(message: dict[str, Any]) -> Brought | None:
    floor = 0 if message.get("floor") is None else _whole(message, "floor")
    if message.get("from") is None:
        return None
    cursor = _object(message, "from")
    if not isinstance(cursor.get("epoch"), str):
        raise ProtocolFault('"from.epoch" must be a text.', field="from.epoch")
    held = Cursor(cursor["epoch"], _whole(cursor, "v", of="from."))
    return Brought(held, floor if message.get("limit") is not None and message.get("id") is None else 0)


def _sub(message: dict[str, Any]) -> int:
    return _whole(message, "sub")


def _whole(message: dict[str, Any], member: str, *, least: int = 0, of: str = "") -> int:
    value = message.get(member)
    if type(value) is not int or not least <= value < _NUMBER_LIMIT:
        raise ProtocolFault(f'"{of}{member}" must be a whole number of at least {least}.', field=of + member)
    return value


def _object(message: dict[str, Any], member: str) -> dict[str, Any]:
    value = message.get(member)
    if not is_object(value):
        raise ProtocolFault(f'"{member}" must be an object.', field=member)
    return value


def _name(message: dict[str, Any], member: str, max_bytes: int) -> str:
    value = message.get(member)
    if not isinstance(value, str) or not value:
        raise ProtocolFault(f'"{member}" must be a non-empty text.', field=member)
    if len(value.encode()) > max_bytes:
        raise ProtocolFault(
            f'"{member}" is longer than {max_bytes} bytes.', field=member, limit=max_bytes
        ).at("socket.max_id_bytes", max_bytes)
    return value


def _write(kind: WriteKind, body: str) -> Callable[[dict[str, Any], int], WriteItem]:
    def parse(message: dict[str, Any], max_id_bytes: int) -> WriteItem:
        epoch, version = _expected(message)
        return WriteItem(
            _whole(message, "ask"),
            kind,
            _group(message, max_id_bytes),
            _name(message, "id", max_id_bytes),
            _text(message, body, _object if body == "d" else _list) if body else b"",
            None if message.get("key") is None else _name(message, "key", max_id_bytes),
            epoch,
            version,
        )

    return parse


def _send(message: dict[str, Any], max_id_bytes: int) -> SendEvent:
    item = None if message.get("id") is None else _name(message, "id", max_id_bytes)
    return SendEvent(
        _whole(message, "ask"), _group(message, max_id_bytes), item, _text(message, "e", _object)
    )


def _auth(message: dict[str, Any], _: int) -> GiveToken:
    ask, token = _whole(message, "ask"), message.get("token")
    if not isinstance(token, str) or not token:
        raise ProtocolFault('"token" must be a non-empty text.', field="token")
    return GiveToken(ask, token)


def _group(message: dict[str, Any], max_id_bytes: int) -> GroupKey:
    return GroupKey(_name(message, "stream", max_id_bytes), _name(message, "group", max_id_bytes))


def _expected(message: dict[str, Any]) -> tuple[str | None, int | None]:
    """The epoch and the version that an item must have. That it must not exist needs no epoch."""
    if message.get("if") is None:
        return None, None
    held = _object(message, "if")
    version = _whole(held, "v", of="if.")
    epoch = held.get("epoch")
    if not isinstance(epoch, str) and (epoch is not None or version):
        raise ProtocolFault('"if.epoch" must be a text.', field="if.epoch")
    return epoch, version


def _text(message: dict[str, Any], member: str, read: Callable[[dict[str, Any], str], Any]) -> bytes:
    try:
        return text_to_keep(read(message, member))
    except orjson.JSONEncodeError as fault:
        raise ProtocolFault(f'"{member}" cannot be kept: {fault}.', field=member) from None


def _list(message: dict[str, Any], member: str) -> list[Any]:
    value = message.get(member)
    if not is_list(value):
        raise ProtocolFault(f'"{member}" must be a list.', field=member)
    return value


_NUMBERS = {
    "sub": "sub",
    **dict.fromkeys(("cancel", "state", "set", "update", "delete", "send", "auth"), "ask"),
}
"""By which member of a message its answer is known."""

_PARSERS: dict[str, Callable[[dict[str, Any], int], Request]] = {
    "sub": _subscribe,
    "unsub": lambda message, _: Unsubscribe(_sub(message)),
    "more": _more,
    "state": lambda message, _: SetState(_sub(message), _object(message, "state"), _ask(message)),
    "cancel": _cancel,
    "set": _write("set", "d"),
    "update": _write("update", "ops"),
    "delete": _write("delete", ""),
    "send": _send,
    "auth": _auth,
    "ping": lambda _message, _: Ping(),
}
