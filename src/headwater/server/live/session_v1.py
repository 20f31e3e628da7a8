"""Carries out what one client of protocol v1 asks: subscriptions by the client's own numbers, presence with
them, an end to the runs behind their items, writes, and another token.

What may be asked when is `protocol/clients/session.py`; this knows streams, and the socket only as something
to offer frames to. Owns what becomes of each subscription number:

- *asked* (an `_Asked`): the gate has it. -> open; refused; or ended by the client, and then its answer counts
  no more.
- *open* (a `Subscription`). -> ended by the client; taken away (revoked, or refused under another token or
  another rule); or ended with the token.
- *unknown*: refused for a stream that there is not. -> told once that is declared, for the latest few.

and that a client whose token has ended (*lapsed*) has no number open, and gets none until it brings another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from headwater.config import SocketSettings
from headwater.errors import AccessDenied, HeadwaterError, InvalidInput, UnknownStream
from headwater.model import GroupKey, Item
from headwater.observe import SILENT, Observer
from headwater.peer import NOBODY, Peer
from headwater.protocol.clients.session import SessionRules, ToDo
from headwater.protocol.clients.v1_requests import (
    Cancel,
    GiveToken,
    More,
    SendEvent,
    SetState,
    Subscribe,
    Unsubscribe,
    WriteItem,
)
from headwater.server.http.authentication import expired
from headwater.server.live.answers import Answers
from headwater.server.live.attendance import Attendance, is_of
from headwater.server.live.cancelling import CancelItem, Cancels, nothing_runs
from headwater.server.live.client_writes import ClientWrites, Wanted, WantedEvent
from headwater.server.live.gate import MOST_AWAITED, Admissions, Gate, taken_away
from headwater.server.live.rejudging import Followed
from headwater.server.live.renewing import Renewals, Renewed
from headwater.server.live.session import Socket
from headwater.server.live.speakers import Speakers
from headwater.server.live.v1_streams import V1Streams
from headwater.server.live.writing import Writing
from headwater.streams.fanout.subscription import Subscription
from headwater.streams.presence import Presence


class V1Session:
    """One client of protocol v1. A Session of its socket."""

    shares = False

    __slots__ = (
        "_admissions",
        "_answers",
        "_cancels",
        "_most_writes",
        "_presence",
        "_present",
        "_renewals",
        "_rules",
        "_socket",
        "_speakers",
        "_streams",
        "_subscriptions",
        "_unknown",
        "_writes",
        "_writing",
    )

    def __init__(
        self,
        socket: Socket,
        streams: V1Streams,
        presence: Presence,
        gate: Gate,
        settings: SocketSettings,
        peer: Peer = NOBODY,
        cancel: CancelItem = nothing_runs,
        observer: Observer = SILENT,
        guests: Attendance | None = None,
        writes: ClientWrites | None = None,
    ) -> None:
        self._socket = socket
        self._streams = streams
        self._presence = presence
        self._admissions = Admissions(gate, peer, settings.max_subscriptions, observer)
        self._cancels = Cancels(cancel, settings.max_subscriptions)
        self._writes, self._most_writes = writes, settings.max_writes
        self._writing: Writing | None = None  # Most clients never need one.
        self._rules = SessionRules(
            streams.wire,
            max_subscriptions=settings.max_subscriptions,
            max_id_bytes=settings.max_id_bytes,
            max_values=settings.max_frame_values,
        )
        self._speakers = Speakers()
        self._subscriptions: dict[int, Subscription | _Asked] = {}
        """By the client's number; while the gate is asked, what it is asked about."""
        self._present: dict[int, str] = {}
        """The presence that goes with a subscription."""
        self._unknown: dict[int, Callable[[], None]] | None = None
        """Refused for a stream that there is not, and how to wait for it no more. Most sessions need none."""
        self._answers = Answers(socket)
        self._answers.say(streams.wire.hello(settings.ping_interval, settings.max_frame_bytes))
        self._renewals = Renewals(gate, Attendance() if guests is None else guests)
        self._renewals.enter(peer, self)

    def message(self, text: str) -> None:
        """Carry out one message; what is wrong with it goes back as an error."""
        asked = self._rules.receive(text, self._admissions.refused)
        if isinstance(asked, bytes):
            self._answers.say(asked)
        elif asked is not None:
            self._do(asked)

    def filled(self) -> None:
        """Nothing can be taken now."""
        self._speakers.filled()

    def drained(self) -> None:
        """Say what could not be said, then let everything that fell behind catch up."""
        self._answers.drained()
        self._speakers.drained()

    @property
    def peer(self) -> Peer:
        """Who it is now."""
        return self._admissions.peer

    def close(self, code: int, reason: str) -> None:
        """End it; see Guest."""
        self._socket.close(code, reason)

    def send_away(self) -> None:
        """Have the client come again; see Guest. Who it is may hold no longer, so a write that waits for its
        turn is not begun; the client says it again, with its key."""
        self._admissions.lapsed = True
        self._socket.send_away()

    def expiring(self, seconds: float) -> None:
        """Tell the client that it needs another token."""
        self._answers.say(self._streams.wire.expiring(seconds))

    def expired(self) -> None:
        """End all subscriptions; nothing that the client asks is admitted until it has brought another
        token."""
        self._admissions.lapsed = True
        for sub in tuple(self._subscriptions):
            self._take_away(sub)
            self._answers.say(self._rules.refused(sub, expired()))

    def revoked(self, group: GroupKey) -> None:
        """End the subscriptions to a group. Those that the gate is asked about it refuses."""
        for sub, one in tuple(self._subscriptions.items()):
            if isinstance(one, Subscription) and is_of(one.wish.group, group):
                self._revoke(sub)

    def ask_again(self) -> None:
        """The rules have changed; see Follower."""
        self._admissions.ask_again()

    def follows(self, streams: Collection[str]) -> Collection[Subscription]:
        """The subscriptions to these streams that are open."""
        return [one for one in self._open() if one.wish.group.stream in streams]

    def take_away(self, followed: Followed) -> None:
        """End a subscription that is not allowed any more."""
        if self._subscriptions.get(followed.wish.label) is followed:
            self._revoke(followed.wish.label)

    def closed(self) -> None:
        """End all subscriptions, and what is present with them."""
        self._renewals.close(self)
        self._admissions.close()
        self._cancels.close()
        if self._writing is not None:
            self._writing.close()
        subscriptions, self._subscriptions = self._subscriptions, {}
        self._speakers.end()
        for sub, presence in self._present.items():
            self._presence.leave(subscriptions[sub].wish.group, presence)
        self._present = {}
        for forget in (self._unknown or {}).values():
            forget()
        self._unknown = None

    def _do(self, asked: ToDo) -> None:
        match asked:
            case Subscribe():
                self._ask(asked)
            case Unsubscribe():
                self._end(asked.sub)
            case SetState():
                self._set_state(asked)
            case More():
                self._more(asked)
            case Cancel():
                self._cancel(asked)
            case GiveToken():
                self._renew(asked)
            case WriteItem():
                self._write(asked.ask, Wanted(*asked[1:]))
            case SendEvent():
                self._write(asked.ask, WantedEvent(*asked[1:]))

    def _ask(self, request: Subscribe) -> None:
        wish = request.wish
        self._forget(request.sub)
        asked = self._subscriptions[request.sub] = _Asked(request)
        self._admissions.ask(wish.group, wish.item, lambda error: self._answered(asked, error))

    def _answered(self, asked: _Asked, error: HeadwaterError | None) -> None:
        """The gate has answered; a state that cannot be taken refuses the subscription as the gate would."""
        sub = asked.wish.label
        if self._subscriptions.get(sub) is not asked:
            return  # It was ended meanwhile.
        if error is None and asked.state is not None:
            try:
                self._present[sub] = self._presence.enter(asked.wish.group, asked.state)
            except HeadwaterError as refusal:
                self._admissions.refused(refusal)
                error = refusal
        if error is None:
            self._begin(asked)
        else:
            del self._subscriptions[sub]
            self._answers.say(self._rules.refused(sub, error))
            if isinstance(error, UnknownStream):
                self._await(sub, asked.wish.group.stream)

    def _await(self, sub: int, stream: str) -> None:
        """Tell the client when the stream of a subscription that was refused is there, of the latest."""
        if self._unknown is None:
            self._unknown = {}
        unknown = self._unknown

        def appeared() -> None:
            del unknown[sub]
            self._answers.say(self._streams.wire.appeared(sub))

        if len(unknown) >= MOST_AWAITED:
            self._forget(next(iter(unknown)))
        unknown[sub] = self._streams.when_declared(stream, appeared)

    def _forget(self, sub: int) -> None:
        """Tell of this number no more: it is out of the latest, or means another subscription now."""
        if self._unknown and sub in self._unknown:
            self._unknown.pop(sub)()

    def _begin(self, asked: _Asked) -> None:
        wish = asked.wish
        subscription = self._streams.subscribe(self._socket, wish)
        self._subscriptions[wish.label] = subscription
        wire = self._streams.wire_of(wish.group.stream)
        self._answers.say(wire.subscribed(wish.label, subscription.feed.number))
        self._speakers.add(subscription)
        if asked.older:
            subscription.more(asked.older)

    def _set_state(self, request: SetState) -> None:
        subscription, presence = self._subscriptions.get(request.sub), self._present.get(request.sub)
        try:
            if subscription is None or presence is None:
                raise InvalidInput(
                    f"Subscription {request.sub} is not present.", hint="Give a state when subscribing."
                )
            self._presence.change(subscription.wish.group, presence, request.state)
        except HeadwaterError as error:
            if request.ask is None:
                self._fault(error, request.sub)
            else:
                self._admissions.refused(error)
                self._answer(request, error)
            return
        if request.ask is not None:
            self._answer(request, None)

    def _more(self, request: More) -> None:
        subscription = self._subscriptions.get(request.sub)
        if subscription is None or subscription.wish.limit is None:
            hint = "Subscribe to a group with a limit."
            self._fault(InvalidInput(f"Subscription {request.sub} is no window.", hint=hint), request.sub)
        else:
            subscription.more(request.limit, request.floor)

    def _cancel(self, request: Cancel) -> None:
        """The gate says who may stop a run, and says it now: rules may have changed since the subscription
        began."""
        wish = self._subscriptions[request.sub].wish
        item = request.item or wish.item
        if item is None or wish.item not in (None, item):
            fault = f"Subscription {request.sub} is of {'a group' if item is None else 'another item'}."
            error = InvalidInput(fault, hint="Give the id of an item that it covers.", field="id")
            self._answer(request, error)
            return

        def admitted(refusal: HeadwaterError | None) -> None:
            if refusal is None:
                self._cancels.ask(wish.group, item, lambda error: self._cancelled(request, error))
            else:
                self._answer(request, refusal)

        self._admissions.ask(wish.group, item, admitted, "cancel", followed=wish.item is None)

    def _cancelled(self, request: Cancel, error: HeadwaterError | None) -> None:
        if error is not None:
            self._admissions.refused(error)
        self._answer(request, error)

    def _write(self, ask: int, wanted: Wanted | WantedEvent) -> None:
        def told(written: Item | None, error: HeadwaterError | None) -> None:
            wire = self._streams.wire
            if error is None:
                self._answers.say(wire.done(ask, None if written is None else written.version))
                return
            if not isinstance(error, AccessDenied | UnknownStream):  # Those the gate has told already.
                self._admissions.refused(error)
            self._answers.say(wire.refused(error, None, ask))

        if self._writes is None:
            told(None, AccessDenied("Nothing is written here.", stream=wanted.group.stream))
            return
        if self._writing is None:
            self._writing = Writing(self._writes, self._most_writes, self._admissions.now)
        self._writing.ask(wanted, told)

    def _answer(self, request: Cancel | SetState, error: HeadwaterError | None) -> None:
        wire, (sub, _, ask) = self._streams.wire, request
        self._answers.say(wire.ok(sub, ask) if error is None else wire.refused(error, sub, ask))

    def _end(self, sub: int) -> None:
        self._forget(sub)
        self._take_away(sub)

    def _take_away(self, sub: int) -> None:
        subscription = self._subscriptions.pop(sub, None)
        if not isinstance(subscription, Subscription):
            return
        presence = self._present.pop(sub, None)
        if presence is not None:
            self._presence.leave(subscription.wish.group, presence)
        subscription.end()
        self._speakers.remove(subscription)

    def _renew(self, request: GiveToken) -> None:
        def renewed(outcome: Renewed | HeadwaterError) -> None:
            """In one turn it is that one, and the subscriptions that were refused are over."""
            if isinstance(outcome, HeadwaterError):
                self._admissions.refused(outcome)
                self._answers.say(self._streams.wire.refused(outcome, None, request.ask))
                return
            self._admissions.become(outcome.peer)
            self._renewals.take_over(outcome.peer, self)
            for sub, one in tuple(self._subscriptions.items()):
                if isinstance(one, Subscription) and outcome.verdicts[one] is not None:
                    self._revoke(sub)
            self._answers.say(self._streams.wire.done(request.ask))

        self._renewals.begin(self, request.token, self._open, renewed)

    def _open(self) -> Collection[Subscription]:
        return [one for one in self._subscriptions.values() if isinstance(one, Subscription)]

    def _revoke(self, sub: int) -> None:
        error = taken_away()
        self._admissions.refused(error)
        self._take_away(sub)
        self._answers.say(self._rules.revoked(sub, error))

    def _fault(self, error: HeadwaterError, sub: int) -> None:
        self._admissions.refused(error)
        self._answers.say(self._streams.wire.fault(error, sub))


class _Asked:
    """A subscription that the gate is asked about."""

    __slots__ = ("older", "state", "wish")

    def __init__(self, request: Subscribe) -> None:
        self.wish, self.state = request
        self.older = 0

    def more(self, limit: int, _floor: int = 0) -> None:
        """Extend the window by so many older items, once it begins."""
        self.older += limit
