"""Streams over plain HTTP: a snapshot as JSON, a live stream for those who accept server-sent events, and an
end to the run behind an item.

Owns the conditional answers of WIRE.md section 8; paths and queries are `stream_target.py`'s. The access
rules are those of subscriptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from starlette.types import Receive, Scope, Send

from headwater.config import Settings, StreamSettings
from headwater.errors import InvalidInput, MethodNotAllowed, OriginRefused, UnknownItem
from headwater.model import Item
from headwater.observe import SILENT, Observer, telling_refusals
from headwater.peer import Peer, read_headers
from headwater.server.http.authentication import Authentication
from headwater.server.http.conditional import Tagged, send_tagged
from headwater.server.http.incoming import read_query
from headwater.server.http.origins import SETTING_HINT, Origins
from headwater.server.live.cancelling import CancelItem
from headwater.server.live.gate import Ask, Gate, admit
from headwater.server.live.sse import EventStreams
from headwater.server.live.stream_target import (
    CANCEL,
    Target,
    Window,
    names_cancel,
    read_following,
    read_target,
    read_window,
)
from headwater.server.live.write_http import METHODS, WriteHttp
from headwater.server.peers import peer_of_request
from headwater.storage.base import Store
from headwater.streams.catalog import Verb
from headwater.streams.realm import Realms
from headwater.streams.snapshot import read_snapshot

_ACCEPTED = [(b"content-length", b"0"), (b"cache-control", b"no-store")]


class StreamHttp:
    """An ASGI application for everything below its prefix."""

    def __init__(
        self,
        realms: Realms,
        gate: Gate,
        events: EventStreams,
        settings: Settings,
        cancel: CancelItem,
        writing: WriteHttp,
        origins: Origins | None = None,
        who: Authentication | None = None,
        observer: Observer = SILENT,
    ) -> None:
        self.prefix = settings.streams.prefix.rstrip("/")
        """The path that it is to be mounted at; empty where it is turned off."""
        self._realms = realms
        self._gate = gate
        self._events = events
        self._cancel_item = cancel
        self._writing = writing
        self._origins = Origins(settings.server, dev=settings.dev) if origins is None else origins
        self._who = who
        self._observer = observer
        self._limits = settings.streams
        self._max_id_bytes = settings.socket.max_id_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        :raises HeadwaterError: before anything is sent.
        """
        method = scope["method"]
        rest = scope["headwater.path"][len(self.prefix) :]
        stops = names_cancel(rest)
        if stops and method != "POST":
            raise MethodNotAllowed(f"a run is cancelled by POST, not by {method}", allow=("POST",))
        if method not in ("GET", "HEAD", *METHODS):
            raise MethodNotAllowed(f"a stream does not take {method}", allow=("GET", "HEAD", *METHODS))
        query = read_query(scope["query_string"])
        headers = read_headers(scope["headers"])
        if stops:
            target = read_target(rest.removesuffix(CANCEL), query, max_id_bytes=self._max_id_bytes)
            await self._cancel(peer_of_request(scope, headers), target)
            await send({"type": "http.response.start", "status": 202, "headers": _ACCEPTED})
            await send({"type": "http.response.body", "body": b""})
            return
        target = read_target(rest, query, max_id_bytes=self._max_id_bytes)
        if method in METHODS:
            await self._write(method, peer_of_request(scope, headers), target, receive, send)
            return
        listens = "text/event-stream" in headers.get("accept", "") and method == "GET"
        peer = peer_of_request(scope, headers, "sse" if listens else "http")
        peer = await self._admitted(peer, target)
        if listens:
            following = read_following(query, headers.get("last-event-id"))
            await self._events.serve(peer, target, following, receive, send)
            return
        store = self._realms.of(target.group.stream).store
        window = read_window(query, self._limits.max_window)
        reading = await _read(store, target, window, self._limits)
        tagged = Tagged(f'"{store.epoch}.{reading.version}"', "application/json", reading.body)
        await send_tagged(send, method, headers, tagged)

    async def _admitted(self, peer: Peer, target: Target, verb: Verb = "read") -> Peer:
        """The peer as the project knows it, once the gate lets it in. What holds no longer when it has is
        asked again.

        :raises HeadwaterError: it is refused.
        """
        while True:
            era = self._era
            known = peer if self._who is None else await self._know(self._who, peer)
            await admit(self._gate, Ask(known, target.group, target.item, verb))
            if era == self._era:
                return known

    @property
    def _era(self) -> tuple[int, int]:
        """Another one whenever who asks, or who may, may be answered otherwise."""
        return self._realms.catalog.era, 0 if self._who is None else self._who.era

    async def _know(self, who: Authentication, peer: Peer) -> Peer:
        with telling_refusals(self._observer, peer):
            return await who.know(peer)

    def _check_origin(self, peer: Peer, do: str) -> None:
        """A browser sends a plain form of any page to any server, and says whose page that is.

        :raises OriginRefused: that page may not.
        """
        origin = peer.headers.get("origin")
        host = peer.headers.get("host", "")
        if origin is not None and not self._origins.allows(origin, host, secure=peer.secure):
            self._origins.refused(origin)
            said = f'pages of "{origin}" may not {do} here'
            raise OriginRefused(said, hint=SETTING_HINT, origin=origin)

    async def _write(self, method: str, peer: Peer, target: Target, receive: Receive, send: Send) -> None:
        """Answer a request that writes, of whom the gate is asked once its body is there.

        :raises HeadwaterError: it is refused.
        """
        self._check_origin(peer, "write")
        who, era = self._who, 0 if self._who is None else self._who.era
        known = peer if who is None else await self._know(who, peer)

        async def still() -> Peer:
            """Who it is once its body has come, which may have taken it long."""
            return known if who is None or who.holds(known, era) else await self._know(who, peer)

        await self._writing.answer(method, known, still, target, receive, send)

    async def _cancel(self, peer: Peer, target: Target) -> None:
        """Stop the run that has claimed an item, for whoever may.

        :raises HeadwaterError: that is not to be, or there is none.
        """
        self._check_origin(peer, "cancel runs")
        if target.item is None:
            raise InvalidInput("a run is cancelled by an item that it has claimed", field="id")
        await self._admitted(peer, target, "cancel")
        await self._cancel_item(target.group, target.item)


class Reading(NamedTuple):
    """What a plain GET answers: the version for its tag, and the JSON."""

    version: int
    body: bytes


async def _read(store: Store, target: Target, window: Window | None, limits: StreamSettings) -> Reading:
    """The item, the group, or a window of it.

    :raises UnknownItem: there is no such item.
    :raises TooLarge: the group is larger than plain HTTP answers whole.
    :raises StoreUnavailable: the store cannot be read.
    """
    if target.item is not None:
        found = await read_snapshot(store, target.group, target.item)
        if not found.items:
            raise UnknownItem(f"There is no item {target.item!r} in this group.", id=target.item)
        return Reading(found.items[0].version, found.items[0].data)
    epoch = orjson.dumps(store.epoch)
    if window is None:
        whole = await read_snapshot(store, target.group, max_bytes=limits.max_snapshot_bytes)
        return Reading(whole.version, _group(whole.items, whole.version, epoch))
    before, size = window.before, limits.page_bytes
    page = await store.window(target.group, before=before, limit=window.limit, limit_bytes=size)
    older = None if page.complete else page.items[0].created
    paging = b',"before":%b' % orjson.dumps(older)
    return Reading(page.through, _group(page.items, page.through, epoch, paging))


def _group(items: Sequence[Item], version: int, epoch: bytes, paging: bytes = b"") -> bytes:
    joined = b",".join([item.data for item in items])
    return b'{"items":[%b],"version":%d,"epoch":%b%b}' % (joined, version, epoch, paging)
