"""Carries out what one client of protocol v1 asks: subscriptions by the client's own numbers.

What may be asked when is `protocol/session.py`; this knows the hub, and the socket only as something to offer
frames to.
"""

from __future__ import annotations

from typing import Any

from headwater.config import SocketSettings
from headwater.errors import HeadwaterError, NotSupportedYet
from headwater.model import Subscriber
from headwater.protocol.session import SessionRules, ToDo
from headwater.protocol.v1 import More, SetState, Subscribe, Unsubscribe, V1Wire
from headwater.server.gate import Admissions, Gate
from headwater.server.speakers import Speakers
from headwater.streams.hub import Hub
from headwater.streams.subscription import Subscription


class V1Session:
    """One client of protocol v1. A Session of its socket."""

    __slots__ = (
        "_admissions",
        "_hub",
        "_rules",
        "_socket",
        "_speakers",
        "_subscriptions",
        "_unsaid",
        "_wire",
    )

    def __init__(
        self,
        socket: Subscriber,
        wire: V1Wire,
        hub: Hub,
        gate: Gate,
        settings: SocketSettings,
        auth: Any = None,
    ) -> None:
        self._socket = socket
        self._wire = wire
        self._hub = hub
        self._admissions = Admissions(gate, auth)
        self._rules = SessionRules(
            wire, max_subscriptions=settings.max_subscriptions, max_id_bytes=settings.max_id_bytes
        )
        self._speakers = Speakers()
        self._subscriptions: dict[int, Subscription] = {}
        self._unsaid: list[bytes] = []
        """Answers that found the socket full, at most one for each subscription that was being admitted then."""
        self._say(wire.hello(settings.ping_interval))

    def message(self, text: str) -> None:
        """Carry out one message; what is wrong with it goes back as an error."""
        asked = self._rules.receive(text)
        if isinstance(asked, bytes):
            self._say(asked)
        elif asked is not None:
            self._do(asked)

    def drained(self) -> None:
        """Say what could not be said, then let everything that fell behind catch up."""
        unsaid, self._unsaid = self._unsaid, []
        for answer in unsaid:
            self._say(answer)
        for subscription in self._subscriptions.values():
            self._hub.resume(subscription)

    def closed(self) -> None:
        """End all subscriptions."""
        self._admissions.close()
        for sub in list(self._subscriptions):
            self._end(sub)

    def _do(self, asked: ToDo) -> None:
        match asked:
            case Subscribe():
                self._subscribe(asked)
            case Unsubscribe():
                self._end(asked.sub)
            case More() | SetState():
                error = NotSupportedYet("Windows and presence are not carried out yet.", field="t")
                self._say(self._wire.fault(error, asked.sub))

    def _subscribe(self, request: Subscribe) -> None:
        subscription = Subscription(self._socket, self._wire, request.group, request.item)
        subscription.label = request.sub
        if request.cursor is not None:
            subscription.epoch, subscription.cursor = request.cursor
        self._subscriptions[request.sub] = subscription
        self._admissions.ask(request.group, request.item, lambda error: self._answered(subscription, error))

    def _answered(self, subscription: Subscription, error: HeadwaterError | None) -> None:
        sub = subscription.label
        if self._subscriptions.get(sub) is not subscription:
            return  # It was ended meanwhile.
        if error is not None:
            del self._subscriptions[sub]
            self._say(self._rules.refused(sub, error))
            return
        feed = self._hub.begin(subscription)
        self._say(self._wire.subscribed(sub, feed))
        self._speakers.add(subscription)

    def _say(self, answer: bytes) -> None:
        if self._unsaid or not self._socket.offer(answer):
            self._unsaid.append(answer)

    def _end(self, sub: int) -> None:
        subscription = self._subscriptions.pop(sub, None)
        if subscription is not None:
            self._hub.unsubscribe(subscription)
            self._speakers.remove(subscription)
