"""Protocol v1: the JSON messages of WIRE.md. Owns their encoding and decoding, no I/O and no rule about when
to send.

One `V1Wire` serves every subscriber of one framing (WebSocket text frames, server-sent events): live frames
name the feed and are encoded once; catch-ups name the subscription.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from headwater.errors import HeadwaterError, NotSupportedYet, ProtocolFault
from headwater.jsonvalue import is_object, without_halves
from headwater.model import GroupKey, Item, Signal
from headwater.protocol.clients.delta import MAX_DIFF_BYTES, delta_between
from headwater.protocol.clients.reading import MOST_VALUES, check_values
from headwater.protocol.clients.rfc6455 import text_frame
from headwater.protocol.clients.wire import Advance, Brought, CatchUpOf, Cursor, Stretch, Wish

SUBPROTOCOL = "headwater.v1"


_RESERVED = frozenset({"auth", "set", "update", "delete", "send"})
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


class Ping(NamedTuple):
    """`ping`."""


Request = Subscribe | Unsubscribe | More | SetState | Cancel | Ping


def parse_request(text: str, *, max_id_bytes: int, max_values: int = MOST_VALUES) -> Request:
    """Decode one client message.

    :raises ProtocolFault: not a message of the protocol; `details["field"]` names the member at fault.
    :raises NotSupportedYet: a message that the protocol reserves.
    """
    check_values(text, max_values)
    message = _read(text)
    if not is_object(message):
        raise ProtocolFault("A message must be a JSON object.")
    kind = message.get("t")
    if isinstance(kind, str) and kind in _RESERVED:
        raise NotSupportedYet(f"The message {kind!r} is reserved and not carried out yet.", field="t")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise ProtocolFault(
            f'There is no message of type {kind!r}; "t" is one of {", ".join(_PARSERS)}.', field="t"
        )
    try:
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
        for member in ("stream", "group", "id"):
            if "\ufffd" in str(message.get(member)):
                broken = ProtocolFault(f'"{member}" holds half of a character.', field=member)
                _address(broken, message)
                raise broken
    return message


def _address(fault: ProtocolFault, message: dict[str, Any]) -> None:
    """Name in its fault what a message was to begin, or asked: whoever waits for the answer learns of it."""
    name = {"sub": "sub", "cancel": "ask", "state": "ask"}.get(str(message.get("t")), "")
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


_PARSERS: dict[str, Callable[[dict[str, Any], int], Request]] = {
    "sub": _subscribe,
    "unsub": lambda message, _: Unsubscribe(_sub(message)),
    "more": _more,
    "state": lambda message, _: SetState(_sub(message), _object(message, "state"), _ask(message)),
    "cancel": _cancel,
    "ping": lambda _message, _: Ping(),
}


def websocket_framing(payload: bytes, cursor: bytes | None) -> bytes:
    """A message as a WebSocket text frame."""
    return text_frame(payload)


def event_stream_framing(payload: bytes, cursor: bytes | None) -> bytes:
    """A message as a server-sent event; `cursor`, where the message moves it, becomes the event's id."""
    named = b"" if cursor is None else b"id: %b\n" % cursor
    return b"%bdata: %b\n\n" % (named, payload)


Framing = Callable[[bytes, bytes | None], bytes]


class V1Wire:
    """Protocol v1 in one framing. `epoch` is that of the store whose feeds speak it."""

    resumes = True

    def __init__(self, epoch: str, framing: Framing = websocket_framing) -> None:
        self.epoch = epoch
        self._framing = framing

    def change(self, advance: Advance) -> bytes:
        """`set`, `gone`, or `patch` where the difference is known and shorter."""
        change, feed = advance.change, advance.feed
        if change.kind == "delete":
            body = b'{"t":"gone","f":%d,"v":%d,"i":%b}' % (feed, change.version, orjson.dumps(change.id))
        else:
            body = _patch(advance) or b'{"t":"set","f":%d,"v":%d,"c":%d,"d":%b}' % (
                feed,
                change.version,
                change.created,
                change.data,
            )
        return self._framing(body, self._cursor(change.version))

    def signal(self, feed: int, signal: Signal) -> bytes:
        """`event`."""
        named = b"" if signal.item is None else b'"i":%b,' % orjson.dumps(signal.item)
        return self._framing(b'{"t":"event","f":%d,%b"e":%b}' % (feed, named, signal.body), None)

    def hello(self, ping_seconds: float, max_bytes: int) -> bytes:
        """`hello`."""
        return self._message({"t": "hello", "epoch": self.epoch, "ping": ping_seconds, "max": max_bytes})

    def subscribed(self, sub: int, feed: int) -> bytes:
        """`subscribed`."""
        return self._message({"t": "subscribed", "sub": sub, "f": feed, "epoch": self.epoch})

    def appeared(self, sub: int) -> bytes:
        """`appeared`."""
        return self._message({"t": "appeared", "sub": sub})

    def pong(self) -> bytes:
        """`pong`."""
        return self._message({"t": "pong"})

    def ok(self, sub: int, ask: int | None) -> bytes:
        """`ok`."""
        return self._message({"t": "ok", "sub": sub, **_asked(ask)})

    def refused(self, error: HeadwaterError, sub: int, ask: int | None) -> bytes:
        """`error`, about what was asked; the subscription lives on."""
        return self._message({"t": "error", **error.to_dict(), "sub": sub, **_asked(ask)})

    def fault(self, error: HeadwaterError, sub: int | None = None, *, ended: bool = False) -> bytes:
        """`error`."""
        named = {} if sub is None else {"sub": sub}
        return self._message({"t": "error", **named, **error.to_dict(), **({"ended": True} if ended else {})})

    def error(self, of: CatchUpOf, error: HeadwaterError) -> bytes:
        """`error` of a subscription that lives on."""
        return self.fault(error, of.wish.label)

    def catch_up(self, of: CatchUpOf) -> V1CatchUp:
        """A catch-up that sends its pages as they come."""
        return V1CatchUp(self, of)

    def _cursor(self, version: int) -> bytes:
        return b"%b.%d" % (self.epoch.encode(), version)

    def _message(self, message: dict[str, Any], version: int | None = None) -> bytes:
        cursor = None if version is None else self._cursor(version)
        return self._framing(orjson.dumps(message, default=str), cursor)

    def page(self, sub: int, stretch: Stretch, floor: int, *, older: bool = False) -> bytes:
        """`page`, without the items below a window's floor; nothing when it would be empty, unless it answers
        a question."""
        items = [_entry(item) for item in stretch.items if item.created >= floor]
        gone = [b"[%d,%b]" % (grave.version, orjson.dumps(grave.id)) for grave in stretch.tombstones]
        if not items and not gone and not older:
            return b""
        body = b'{"t":"page","sub":%d,"v":%d%b%b%b}' % (
            sub,
            stretch.through,
            b',"items":[%b]' % b",".join(items) if items else b"",
            b',"gone":[%b]' % b",".join(gone) if gone else b"",
            b',"older":true' if older else b"",
        )
        return self._framing(body, None)

    def complete(self, sub: int, version: int, floor: int | None) -> bytes:
        """`complete`."""
        window = {} if floor is None else {"floor": floor}
        return self._message({"t": "complete", "sub": sub, "v": version, **window}, version)

    def reset(self, sub: int, reason: str) -> bytes:
        """`reset`."""
        return self._message({"t": "reset", "sub": sub, "reason": reason, "epoch": self.epoch})

    def behind(self, of: CatchUpOf) -> bytes:
        """`behind`."""
        return self._message({"t": "behind", "sub": of.wish.label})


def _asked(ask: int | None) -> dict[str, int]:
    return {} if ask is None else {"ask": ask}


def _entry(item: Item) -> bytes:
    return b"[%d,%d,%b]" % (item.version, item.created, item.data)


def _patch(advance: Advance) -> bytes:
    """The frame's body as a patch, or nothing where a whole `set` is as short."""
    change = advance.change
    operations = (change.delta if change.kind == "update" else None) or _difference(advance)
    if not operations:
        return b""
    body = b'{"t":"patch","f":%d,"v":%d,"i":%b,"o":%b}' % (
        advance.feed,
        change.version,
        orjson.dumps(change.id),
        operations,
    )
    return body if len(body) < len(change.data) else b""


def _difference(advance: Advance) -> bytes:
    """Operations from the item before to the one after, or nothing where the one is not known, or one of them
    too large to be compared."""
    change, before = advance.change, advance.before
    if before is None or max(len(before), len(change.data)) > MAX_DIFF_BYTES:
        return b""
    try:
        return orjson.dumps(delta_between(orjson.loads(before), orjson.loads(change.data)))
    except orjson.JSONEncodeError:
        return b""  # Operations nest deeper than the item, which may be at the encoder's limit already.


class V1CatchUp:
    """One catch-up of one subscription."""

    def __init__(self, wire: V1Wire, of: CatchUpOf) -> None:
        self._wire = wire
        self._of = of
        self._version = 0

    def reset(self, reason: str) -> bytes:
        """The subscription starts over."""
        return self._wire.reset(self._of.wish.label, reason)

    def stretch(self, stretch: Stretch) -> bytes:
        """A page, at once."""
        self._version = stretch.through
        return self._wire.page(self._of.wish.label, stretch, self._of.floor)

    def older(self, stretch: Stretch) -> bytes:
        """A page of older items; it moves no cursor."""
        return self._wire.page(self._of.wish.label, stretch, 0, older=True)

    def complete(self) -> bytes:
        """The client's state is whole now."""
        floor = self._of.floor if self._of.wish.limit is not None else None
        return self._wire.complete(self._of.wish.label, self._version, floor)
