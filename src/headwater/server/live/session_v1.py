"""Carries out what one client of protocol v1 asks: subscriptions by the client's own numbers, and presence
with them.

What may be asked when is `protocol/clients/session.py`; this knows the realms, and the socket only as
something to offer frames to.
"""

from __future__ import annotations

from typing import Any

from headwater.config import SocketSettings
from headwater.errors import HeadwaterError, InvalidInput
from headwater.model import Subscriber
from headwater.protocol.clients.session import SessionRules, ToDo
from headwater.protocol.clients.v1 import More, SetState, Subscribe, Unsubscribe
from headwater.server.live.gate import Admissions, Gate
from headwater.server.live.speakers import Speakers
from headwater.streams.fanout.subscription import Subscription
from headwater.streams.presence import Presence
from headwater.streams.realm import Realms


class V1Session:
    """One client of protocol v1. A Session of its socket."""

    __slots__ = (
        "_admissions",
        "_presence",
        "_present",
        "_realms",
        "_rules",
        "_socket",
        "_speakers",
        "_subscriptions",
        "_unsaid",
    )

    def __init__(
        self,
        socket: Subscriber,
        realms: Realms,
        presence: Presence,
        gate: Gate,
        settings: SocketSettings,
        auth: Any = None,
    ) -> None:
        self._socket = socket
        self._realms = realms
        self._presence = presence
        self._admissions = Admissions(gate, auth, settings.max_subscriptions)
        wire = realms.durable.sockets
        self._rules = SessionRules(
            wire, max_subscriptions=settings.max_subscriptions, max_id_bytes=settings.max_id_bytes
        )
        self._speakers = Speakers()
        self._subscriptions: dict[int, Subscription] = {}
        self._present: dict[int, str] = {}
        """The presence that goes with a subscription."""
        self._unsaid: list[bytes] = []
        """Answers that found the socket full: at most one for each admission that was under way then."""
        self._say(wire.hello(settings.ping_interval))

    def message(self, text: str) -> None:
        """Carry out one message; what is wrong with it goes back as an error."""
        asked = self._rules.receive(text)
        if isinstance(asked, bytes):
            self._say(asked)
        elif asked is not None:
            self._do(asked)

    def filled(self) -> None:
        """Let the hub know that nothing can be taken now."""
        for subscription in self._subscriptions.values():
            self._realms.filled(subscription)

    def drained(self) -> None:
        """Say what could not be said, then let everything that fell behind catch up."""
        unsaid, self._unsaid = self._unsaid, []
        for answer in unsaid:
            self._say(answer)
        for subscription in self._subscriptions.values():
            self._realms.resume(subscription)

    def closed(self) -> None:
        """End all subscriptions, and what is present with them."""
        self._admissions.close()
        for sub in list(self._subscriptions):
            self._end(sub)

    def _do(self, asked: ToDo) -> None:
        match asked:
            case Subscribe():
                self._subscribe(asked)
            case Unsubscribe():
                self._end(asked.sub)
            case SetState():
                self._set_state(asked)
            case More():
                self._more(asked)

    def _subscribe(self, request: Subscribe) -> None:
        realm = self._realms.of(request.group.stream)
        subscription = Subscription(self._socket, realm.sockets, request.group, request.item)
        subscription.label = request.sub
        if request.item is None:
            subscription.limit, subscription.floor = request.limit, request.floor if request.limit else 0
        if request.cursor is not None:
            subscription.epoch, subscription.cursor = request.cursor
        self._subscriptions[request.sub] = subscription
        self._admissions.ask(
            request.group, request.item, lambda error: self._answered(subscription, request, error)
        )

    def _answered(self, subscription: Subscription, request: Subscribe, error: HeadwaterError | None) -> None:
        """The gate has answered; a state that cannot be taken refuses the subscription as the gate would."""
        sub = subscription.label
        if self._subscriptions.get(sub) is not subscription:
            return  # It was ended meanwhile.
        try:
            if error is not None:
                raise error
            if request.state is not None:
                self._present[sub] = self._presence.enter(request.group, request.state)
        except HeadwaterError as refusal:
            del self._subscriptions[sub]
            self._say(self._rules.refused(sub, refusal))
            return
        feed = self._realms.begin(subscription)
        self._say(self._realms.of(request.group.stream).sockets.subscribed(sub, feed))
        self._speakers.add(subscription)
        for sibling in subscription.siblings:
            self._realms.shares(sibling)

    def _set_state(self, request: SetState) -> None:
        subscription, presence = self._subscriptions.get(request.sub), self._present.get(request.sub)
        try:
            if subscription is None or presence is None:
                raise InvalidInput(
                    f"Subscription {request.sub} is not present.", hint="Give a state when subscribing."
                )
            self._presence.change(subscription.group, presence, request.state)
        except HeadwaterError as error:
            self._fault(error, request.sub)

    def _more(self, request: More) -> None:
        subscription = self._subscriptions.get(request.sub)
        if subscription is None or subscription.limit is None:
            hint = "Subscribe to a group with a limit."
            self._fault(InvalidInput(f"Subscription {request.sub} is no window.", hint=hint), request.sub)
        else:
            self._realms.more(subscription, request.limit)

    def _end(self, sub: int) -> None:
        subscription = self._subscriptions.pop(sub, None)
        if subscription is None:
            return
        presence = self._present.pop(sub, None)
        if presence is not None:
            self._presence.leave(subscription.group, presence)
        self._realms.unsubscribe(subscription)
        self._speakers.remove(subscription)

    def _fault(self, error: HeadwaterError, sub: int) -> None:
        self._say(self._realms.durable.sockets.fault(error, sub))

    def _say(self, answer: bytes) -> None:
        if self._unsaid or not self._socket.offer(answer):
            self._unsaid.append(answer)
