"""Writes without a step over plain HTTP: what of a request they are, and how they are answered.

Owns the conditional headers of WIRE.md section 11 and the bodies. Who may write is the gate's, what is
written `client_writes.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from starlette.types import Receive, Send

from headwater.config import Settings
from headwater.errors import (
    BodyUnsupported,
    Conflict,
    InvalidInput,
    Limit,
    MethodNotAllowed,
    PreconditionFailed,
)
from headwater.jsonshape import ANY_DEPTH, Shape, check_shape
from headwater.jsonvalue import long_integer, without_halves
from headwater.model import Item, WriteKind
from headwater.peer import Peer
from headwater.server.http.bodies import BodyReader, body_reader
from headwater.server.live.client_writes import ClientWrites, Wanted, WantedEvent
from headwater.server.live.stream_target import Target, read_cursor

KINDS: Mapping[str, WriteKind] = {"PUT": "set", "PATCH": "update", "DELETE": "delete"}
METHODS = ("PUT", "PATCH", "DELETE", "POST")
"""By which is written; POST sends an event."""

Still = Callable[[], Awaitable[Peer]]
"""Who a peer is now; raises HeadwaterError where it may be here no more."""

_TAG = re.compile(r'(W/)?"([^"]*)"')
_NO_EPOCH = ""
"""What no epoch is: a version of it is never the item's."""

_HINT = "max_frame_values in [socket] of headwater.toml sets the limit"


class _Condition(NamedTuple):
    """What the item must be, in the words of `Wanted`."""

    epoch: str | None = None
    version: int | None = None
    exists: bool = False


ANYTHING = _Condition()


class WriteHttp:
    """Answers requests that write."""

    def __init__(
        self, writes: ClientWrites, settings: Settings, epoch: str, bodies: BodyReader | None = None
    ) -> None:
        self._writes = writes
        self._epoch = epoch
        self._bodies = bodies or body_reader(settings)
        self._most = Limit("streams.max_write_bytes", settings.streams.max_write_bytes)
        self._shape = Shape(Limit("socket.max_frame_values", settings.socket.max_frame_values), ANY_DEPTH)

    async def answer(
        self, method: str, peer: Peer, still: Still, target: Target, receive: Receive, send: Send
    ) -> None:
        """Answer one request of a peer that is known; `still` tells who it is once its body has come.

        :raises HeadwaterError: it is refused; nothing was sent.
        """
        if target.item is None and method != "POST":
            said = f"a group is not written by {method}; an item is, at its own path"
            raise MethodNotAllowed(said, allow=("GET", "HEAD", "POST"))
        raw = b"" if method == "DELETE" else await self._read(peer, receive)
        try:
            peer = await still()
            check_shape(raw, self._shape, "body", _HINT)
            if target.item is None or method == "POST":
                await self._send_event(peer, target, _whole(raw), send)
            else:
                condition, key = read_condition(peer.headers), peer.headers.get("idempotency-key") or None
                asked = KINDS[method], target.group, target.item, _whole(raw), key
                await self._write(peer, Wanted(*asked, *condition), send)
        finally:
            self._bodies.let_go(raw)

    async def _write(self, peer: Peer, wanted: Wanted, send: Send) -> None:
        try:
            written = await self._writes.begin(peer, wanted)
        except Conflict as error:
            if (wanted.epoch, wanted.version, wanted.exists) == ANYTHING:
                raise
            raise PreconditionFailed(error.message, hint=error.hint, **error.details) from None
        if written is None or wanted.kind == "delete":
            await _answer(send, 204)
            return
        tag = f'"{self._epoch}.{written.version}"'.encode()
        # Whoever repeats a key, or changes what was there, may be shown what it did not write.
        own = wanted.kind == "set" and wanted.key is None
        shown = own or await self._writes.may_read(peer, wanted.group, wanted.item)
        if shown:
            await _answer(send, 201 if _is_new(written) else 200, tag, written.data)
        else:
            await _answer(send, 204, tag)

    async def _send_event(self, peer: Peer, target: Target, body: bytes, send: Send) -> None:
        for name in ("idempotency-key", "if-match", "if-none-match"):
            if name in peer.headers:
                raise InvalidInput(f"an event is not kept, so it has no {name}", field=name)
        await self._writes.begin(peer, WantedEvent(target.group, target.item, body))
        await _answer(send, 204)

    async def _read(self, peer: Peer, receive: Receive) -> bytes:
        """The body, as it came."""
        encoding = peer.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            said = f'a body with content-encoding "{encoding[:100]}" is not read'
            raise BodyUnsupported(said, hint="send it uncompressed")
        return await self._bodies.read(receive, peer.headers, self._most)


def read_condition(headers: Mapping[str, str]) -> _Condition:
    """What the headers of a request want an item to be.

    :raises InvalidInput: they are not understood; a write that was to be careful is never made without care.
    """
    match, none = headers.get("if-match"), headers.get("if-none-match")
    if match is None and none is None:
        return ANYTHING
    if none is not None:
        if none.strip() != "*" or match is not None:
            hint = "If-None-Match: * wants no item; If-Match wants one of a version."
            raise InvalidInput("a write takes If-None-Match with * alone", hint=hint, field="if-none-match")
        return _Condition(version=0)
    text = (match or "").strip()
    if text == "*":
        return _Condition(exists=True)
    tag = _TAG.fullmatch(text)
    if tag is None:
        hint = 'Give the ETag of the item as it came, "EPOCH.VERSION", or *.'
        raise InvalidInput("If-Match is no single entity tag", hint=hint, field="if-match")
    cursor = None if tag[1] else read_cursor(tag[2])
    if cursor is None or not cursor.version:
        return _Condition(_NO_EPOCH)
    return _Condition(cursor.epoch, cursor.version)


def _whole(raw: bytes) -> bytes:
    """JSON without halves of characters, which JavaScript may write: each becomes U+FFFD, as on sockets.

    :raises InvalidInput: it holds an integer that would not be kept.
    """
    with suppress(ValueError):  # What is no JSON is refused by whoever reads it.
        if (place := long_integer(raw)) is not None:
            raise InvalidInput(
                f'the number at "{place}" has more than 64 bits', hint="give it as text", field=place
            )
    if b"\\u" not in raw:
        return raw
    try:
        whole = without_halves(raw.decode())
    except UnicodeDecodeError:
        return raw  # It is no JSON, as whoever reads it says.
    return raw if whole is None else whole.encode()


def _is_new(item: Item) -> bool:
    return item.version == item.created


async def _answer(send: Send, status: int, tag: bytes = b"", body: bytes = b"") -> None:
    headers = [(b"cache-control", b"no-store")]
    if tag:
        headers.append((b"etag", tag))
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
