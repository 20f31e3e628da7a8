"""Protocol v1: the JSON messages of WIRE.md as the server sends them. Owns their encoding, no I/O and no rule
about when to send; what clients say is read in `v1_requests.py`.

One `V1Wire` serves every subscriber of one framing (WebSocket text frames, server-sent events): live frames
name the feed and are encoded once; catch-ups name the subscription.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from headwater.errors import HeadwaterError
from headwater.model import Item, Signal
from headwater.protocol.clients.delta import delta_between, may_differ
from headwater.protocol.clients.rfc6455 import text_frame
from headwater.protocol.clients.wire import Advance, CatchUpOf, Stretch

SUBPROTOCOL = "headwater.v1"


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

    def done(self, ask: int, version: int | None = None) -> bytes:
        """`ok`, of what concerns no subscription; `version` is that of a write."""
        written = {} if version is None else {"v": version}
        return self._message({"t": "ok", "ask": ask, **written})

    def refused(self, error: HeadwaterError, sub: int | None, ask: int | None) -> bytes:
        """`error`, about what was asked; the subscription, if it was about one, lives on."""
        named = {} if sub is None else {"sub": sub}
        return self._message({"t": "error", **error.to_dict(), **named, **_asked(ask)})

    def revoked(self, sub: int, error: HeadwaterError) -> bytes:
        """`revoked`."""
        return self._message({"t": "revoked", "sub": sub, **error.to_dict()})

    def expiring(self, seconds: float) -> bytes:
        """`expiring`."""
        return self._message({"t": "expiring", "in": seconds})

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
    if before is None or not may_differ(before, change.data):
        return b""
    found = delta_between(orjson.loads(before), orjson.loads(change.data))
    try:
        return b"" if found is None else orjson.dumps(found)
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
