"""What one client's messages do: joins and leaves of protocol v0, within limits, under the project's access
rules.

Owns a socket's subscriptions. Knows hubs and the v0 codec; the socket itself only as something to offer
frames to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from headwater.config import SocketSettings
from headwater.errors import HeadwaterError, ProtocolFault, TooMany, UnknownStream
from headwater.model import GroupKey
from headwater.observe import SILENT, Observer
from headwater.peer import NOBODY, Peer
from headwater.protocol.clients.v0 import Request, V0Wire, parse_request
from headwater.protocol.clients.wire import Wish
from headwater.server.live.answers import Answers
from headwater.server.live.attendance import Attendance, is_of
from headwater.server.live.gate import MOST_AWAITED, Admissions, Gate, taken_away
from headwater.server.live.rejudging import Followed
from headwater.server.live.session import Socket
from headwater.server.live.speakers import Speakers
from headwater.streams.fanout.hub import Hub
from headwater.streams.fanout.subscription import Subscription

WhenDeclared = Callable[[str, Callable[[], None]], Callable[[], None]]
"""Calls something when a stream is declared, and answers the way to call that off."""

HubOf = Callable[[str], Hub]
"""The hub by which a stream is followed."""


TOKEN_ENDED = 1008
"""The code of a socket that is closed for its token: "policy violation" of RFC 6455."""


class Room(NamedTuple):
    """What a client can join: a group, or one item of it."""

    group: GroupKey
    item: str | None


class _Listener(NamedTuple):
    """One who has joined a room, by the client's own subscription id."""

    room: Room
    subscription: str


def _nothing() -> None:
    """Nobody waits."""


class V0Session:
    """One client of protocol v0. A Session of its socket."""

    shares = True  # Its snapshots are shared and have a budget of their own.

    __slots__ = (
        "_admissions",
        "_answers",
        "_entries",
        "_guests",
        "_hub_of",
        "_listeners",
        "_settings",
        "_socket",
        "_speakers",
        "_unknown",
        "_when_declared",
        "_wire",
    )

    def __init__(
        self,
        socket: Socket,
        wire: V0Wire,
        hub_of: HubOf,
        gate: Gate,
        settings: SocketSettings,
        peer: Peer = NOBODY,
        observer: Observer = SILENT,
        when_declared: WhenDeclared = lambda _stream, _then: _nothing,
        guests: Attendance | None = None,
    ) -> None:
        self._socket = socket
        self._wire = wire
        self._answers = Answers(socket)
        self._hub_of = hub_of
        self._admissions = Admissions(gate, peer, settings.max_subscriptions, observer)
        self._settings = settings
        self._entries: dict[Room, _Entry] = {}
        self._listeners = 0
        self._when_declared = when_declared
        self._unknown: dict[_Listener, Callable[[], None]] | None = None
        """Refused for a stream that there is not, and how to wait for it no more. Most sessions need none."""
        self._speakers = Speakers()
        self._guests = guests
        if guests is not None:
            guests.enter(peer, self)

    def message(self, text: str) -> None:
        """Carry out one message; what is wrong with it goes back as an error event."""
        try:
            limits = self._settings
            request = parse_request(
                text, max_id_bytes=limits.max_id_bytes, max_values=limits.max_frame_values
            )
        except ProtocolFault as fault:
            self._admissions.refused(fault)
            self._tell(GroupKey("", ""), None, fault)
            return
        room = Room(request.group, request.item)
        if request.kind == "leave":
            self._leave(room, request.subscription)
            return
        try:
            self._join(room, request)
        except HeadwaterError as error:
            self._admissions.refused(error)
            self._tell(room.group, room.item, error)

    def filled(self) -> None:
        """Nothing can be taken now."""
        self._speakers.filled()

    def drained(self) -> None:
        """Say what could not be said, then let everything that fell behind catch up."""
        self._answers.drained()
        self._speakers.drained()

    @property
    def peer(self) -> Peer:
        """Who it is."""
        return self._admissions.peer

    def close(self, code: int, reason: str) -> None:
        """End it; see Guest."""
        self._socket.close(code, reason)

    def send_away(self) -> None:
        """Have the client come again; see Guest."""
        self._socket.send_away()

    def expiring(self, seconds: float) -> None:
        """Nothing: clients of this protocol bring a token when they come, and only then."""

    def expired(self) -> None:
        """Its client comes again, with another token if it has one."""
        self.close(TOKEN_ENDED, "the token has expired")

    def revoked(self, group: GroupKey) -> None:
        """Its client leaves all rooms of a group, and is told."""
        for room, entry in list(self._entries.items()):
            if is_of(room.group, group):
                self._revoke(room, entry)

    def _revoke(self, room: Room, entry: _Entry) -> None:
        self._end(room, entry)
        error = taken_away(stream=room.group.stream)
        self._admissions.refused(error)
        self._tell(room.group, room.item, error)

    def ask_again(self) -> None:
        """The rules have changed; see Follower."""
        self._admissions.ask_again()

    def follows(self, streams: Collection[str]) -> Collection[Subscription]:
        """The subscriptions to these streams that are open."""
        open_now = [entry.subscription for entry in self._entries.values()]
        return [one for one in open_now if one is not None and one.wish.group.stream in streams]

    def take_away(self, followed: Followed) -> None:
        """Its client leaves a room that it may not be in any more, and is told."""
        room = Room(followed.wish.group, followed.wish.item)
        entry = self._entries.get(room)
        if entry is not None and entry.subscription is followed:
            self._revoke(room, entry)

    def closed(self) -> None:
        """End all subscriptions."""
        if self._guests is not None:
            self._guests.leave(self)
        for forget in (self._unknown or {}).values():
            forget()
        self._unknown = None
        self._entries = {}
        self._speakers.end()
        self._admissions.close()

    def _join(self, room: Room, request: Request) -> None:
        entry = self._entries.get(room)
        if entry is None or request.subscription not in entry.ids:
            self._check_listeners()
            self._listeners += 1
        if entry is None:
            entry = self._entries[room] = _Entry()
        entry.ids.add(request.subscription)
        if entry.subscription is not None:
            entry.subscription.restart()  # A second listener of the page needs a sync of its own.
        elif not entry.asked:
            entry.asked = True
            self._admissions.ask(room.group, room.item, lambda error: self._answered(room, entry, error))

    def _check_listeners(self) -> None:
        limit = self._settings.max_subscriptions
        if self._listeners >= limit:
            raise TooMany(
                f"This socket holds {limit} subscriptions, which is the limit.",
                hint="Subscribe to groups instead of single items, or raise [socket] max_subscriptions.",
                limit=limit,
            ).at("socket.max_subscriptions", limit)

    def _answered(self, room: Room, entry: _Entry, error: HeadwaterError | None) -> None:
        if self._entries.get(room) is not entry:
            return  # It left meanwhile.
        if error is not None:
            self._drop(room, entry)
            self._tell(room.group, room.item, error)
            if isinstance(error, UnknownStream):
                for subscription in entry.ids:
                    self._await(_Listener(room, subscription))
            return
        hub = self._hub_of(room.group.stream)
        entry.subscription = hub.subscribe(self._socket, self._wire, Wish(room.group, room.item))
        self._speakers.add(entry.subscription)

    def _await(self, listener: _Listener) -> None:
        """Join once the stream that there is not is declared, for the latest who asked: the page goes on
        waiting for its first `sync`."""
        if self._unknown is None:
            self._unknown = {}
        unknown, (room, subscription) = self._unknown, listener
        if listener in unknown or len(unknown) >= MOST_AWAITED:
            unknown.pop(listener if listener in unknown else next(iter(unknown)))()

        def appeared() -> None:
            del unknown[listener]
            try:
                self._join(room, Request("join", room.group, room.item, subscription))
            except HeadwaterError as error:
                self._admissions.refused(error)
                self._tell(room.group, room.item, error)

        unknown[listener] = self._when_declared(room.group.stream, appeared)

    def _forget(self, room: Room, subscription_id: str) -> None:
        """A listener has left a room whose stream there is not, or all have."""
        for listener in list(self._unknown or ()):
            if listener.room == room and subscription_id in ("", listener.subscription):
                (self._unknown or {}).pop(listener)()

    def _leave(self, room: Room, subscription_id: str) -> None:
        entry = self._entries.get(room)
        if entry is None:
            self._forget(room, subscription_id)
            return
        if subscription_id in entry.ids:
            entry.ids.discard(subscription_id)
            self._listeners -= 1
        if entry.ids and subscription_id:
            return
        self._end(room, entry)

    def _end(self, room: Room, entry: _Entry) -> None:
        self._drop(room, entry)
        if entry.subscription is not None:
            entry.subscription.end()
            self._speakers.remove(entry.subscription)

    def _drop(self, room: Room, entry: _Entry) -> None:
        del self._entries[room]
        self._listeners -= len(entry.ids)

    def _tell(self, group: GroupKey, item: str | None, error: HeadwaterError) -> None:
        self._answers.say(self._wire.refusal(group, item, error))


class _Entry:
    """One joined room: the client's own subscription ids, and the subscription once it is admitted."""

    __slots__ = ("asked", "ids", "subscription")

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.subscription: Subscription | None = None
        self.asked = False
