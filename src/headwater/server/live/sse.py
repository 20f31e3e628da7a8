"""A live stream over plain HTTP: the messages of protocol v1 as server-sent events, one subscription a
response.

Owns the way from `offer`, which must not wait, to an ASGI `send`, which does. What may be subscribed to is
decided before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.types import Message, Receive, Send

from headwater.model import GroupKey
from headwater.observe import SILENT, Observer
from headwater.peer import Peer
from headwater.protocol.clients.v1 import V1Wire, event_stream_framing
from headwater.protocol.clients.wire import Brought, Wish
from headwater.server.http.authentication import expired
from headwater.server.live.attendance import Attendance, is_of
from headwater.server.live.gate import taken_away
from headwater.server.live.rejudging import Followed
from headwater.server.live.stream_target import Following, Target
from headwater.server.live.v1_streams import V1Streams
from headwater.streams.realm import Realms

COMMENT = b": \n\n"
COMMENT_SECONDS = 15.0
"""Silence after which a comment is sent: proxies commonly cut a response that is silent for 30 or 60
seconds."""

MOST_BODY_BYTES = 64 * 1024
"""Of the body of a request for an event stream, which has none to read."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    # Whatever compresses on the way holds events back until it has enough of them.
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Unsent:
    """What a response still has to send. A Subscriber."""

    def __init__(self, high_water_bytes: int) -> None:
        self._high_water = high_water_bytes
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._more = asyncio.Event()
        self.ended = False
        self._last = b""

    @property
    def is_full(self) -> bool:
        """Whether it takes no frames now."""
        return self._bytes >= self._high_water or self.ended

    @property
    def outlet(self) -> None:
        """It wants to be asked each time."""

    def offer(self, frames: bytes) -> bool:
        """Take frames unless too much waits already; see Subscriber."""
        if self.is_full:
            return False
        self._waiting.append(frames)
        self._bytes += len(frames)
        self._more.set()
        return True

    def end(self) -> None:
        """Send no more."""
        self.ended = True
        self._more.set()

    def end_with(self, frame: bytes) -> None:
        """Send this, and nothing else that waits."""
        self._last = b"" if self.ended else frame
        self.end()

    async def take(self) -> bytes:
        """What waits, or a comment when nothing came for a while; empty when it has ended."""
        try:
            async with asyncio.timeout(COMMENT_SECONDS):
                await self._more.wait()
        except TimeoutError:
            return COMMENT
        self._more.clear()
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if not self.ended:
            return b"".join(waiting)
        last, self._last = self._last, b""
        if last:
            self._more.set()
        return last


class Visit:
    """Who follows by an event stream, and what. A Guest."""

    def __init__(self, peer: Peer, unsent: Unsent, wire: V1Wire, wish: Wish, observer: Observer) -> None:
        self.peer = peer
        self._observer = observer
        self._unsent = unsent
        self._wire = wire
        self.wish = wish

    def close(self, code: int, reason: str) -> None:
        """End it; server-sent events have no place for a code."""
        self._unsent.end()

    def send_away(self) -> None:
        """End it; browsers come back by themselves."""
        self._unsent.end()

    def expiring(self, seconds: float) -> None:
        """Tell the client; it brings another token by asking anew."""
        self._unsent.offer(self._wire.expiring(seconds))

    def expired(self) -> None:
        """End with the reason."""
        self._unsent.end_with(self._wire.fault(expired(), self.wish.label, ended=True))

    def revoked(self, group: GroupKey) -> None:
        """End with the reason, if it is this group that is followed."""
        if is_of(self.wish.group, group):
            self.take_away(self)

    def ask_again(self) -> None:
        """Nothing is asked while it is open."""

    def follows(self, streams: Collection[str]) -> Collection[Followed]:
        """Itself, if it is one of these streams that is followed."""
        return (self,) if self.wish.group.stream in streams else ()

    def take_away(self, followed: Followed) -> None:
        """End with the reason."""
        error = taken_away()
        self._observer.refused(self.peer, error)
        self._unsent.end_with(self._wire.revoked(self.wish.label, error))


class EventStreams:
    """All open event streams of the server."""

    def __init__(
        self,
        realms: Realms,
        *,
        high_water_bytes: int,
        guests: Attendance | None = None,
        observer: Observer = SILENT,
    ) -> None:
        self._streams = V1Streams(realms, event_stream_framing)
        self._high_water = high_water_bytes
        self.visits: set[Visit] = set()
        """Who follows now."""
        self._guests = Attendance() if guests is None else guests
        self._observer = observer

    def close(self) -> None:
        """End all that are open now; browsers come back by themselves, with their cursors."""
        for visit in self.visits:
            visit.send_away()

    async def serve(
        self, peer: Peer, target: Target, following: Following, receive: Receive, send: Send
    ) -> None:
        """Answer with a live stream of a group (a window of it, if asked for) or an item, until the client or
        the server ends it."""
        unsent = Unsent(self._high_water)
        wire = self._streams.wire_of(target.group.stream)
        wish, continued = _begin(target, following)
        visit = Visit(peer, unsent, wire, wish, self._observer)
        self.visits.add(visit)
        self._guests.enter(peer, visit)
        self._observer.accepted(peer)
        gone = asyncio.create_task(_until_gone(receive, unsent))
        subscription = None
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            subscription = self._streams.subscribe(unsent, wish)
            unsent.offer(wire.subscribed(wish.label, subscription.feed.number))
            if not continued:
                unsent.offer(wire.reset(wish.label, "lost"))
            while frames := await unsent.take():
                await send({"type": "http.response.body", "body": frames, "more_body": True})
                subscription.resume()
        finally:
            if subscription is not None:
                subscription.end()
            self.visits.discard(visit)
            self._guests.leave(visit)
            self._observer.left("sse")
            gone.cancel()
        await send({"type": "http.response.body", "body": b""})


def _begin(target: Target, following: Following) -> tuple[Wish, bool]:
    """The wish of a response, and whether what its client holds can be continued: a window that nobody knows
    the beginning of, as a browser brings that resumes by `Last-Event-ID` alone, cannot."""
    cursor, limit, floor, more = following
    wish = Wish(target.group, target.item, limit=None if target.item else limit)
    if cursor is None:
        return wish, True
    if wish.limit is None:
        return wish._replace(brought=Brought(cursor)), True
    if floor is None:
        return wish, False
    return wish._replace(brought=Brought(cursor, floor, more)), True


async def _until_gone(receive: Receive, unsent: Unsent) -> None:
    """End when the client hangs up, or sends a body without end: it is read for nothing."""
    message: Message = {"type": ""}
    size = 0
    while message["type"] != "http.disconnect" and size <= MOST_BODY_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
    unsent.end()
