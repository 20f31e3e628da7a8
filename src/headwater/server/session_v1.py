"""What one client's messages do in protocol v1: subscribe, unsubscribe, with cursors, within limits and
rules.

Owns a socket's subscriptions by the client's own numbers. Knows the hub and the v1 codec; the socket itself
only as something to offer frames to.
"""

from __future__ import annotations

from typing import Any

from headwater.config import SocketSettings
from headwater.errors import HeadwaterError, InvalidInput, NotSupportedYet, TooMany
from headwater.model import Subscriber
from headwater.protocol.v1 import (
    More,
    Ping,
    SetState,
    Subscribe,
    Unsubscribe,
    V1Wire,
    parse_request,
)
from headwater.server.gate import Admissions, Gate
from headwater.server.speakers import Speakers
from headwater.streams.hub import Hub
from headwater.streams.subscription import Subscription


class V1Session:
    """One client of protocol v1. A Session of its socket."""

    __slots__ = ("_admissions", "_hub", "_settings", "_socket", "_speakers", "_subscriptions", "_wire")

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
        self._settings = settings
        self._subscriptions: dict[int, Subscription] = {}
        self._speakers = Speakers()
        socket.offer(wire.hello(settings.ping_interval))

    def message(self, text: str) -> None:
        """Carry out one message; what is wrong with it goes back as an error."""
        try:
            request = parse_request(text, max_id_bytes=self._settings.max_id_bytes)
            match request:
                case Subscribe():
                    self._subscribe(request)
                case Unsubscribe():
                    self._end(request.sub)
                case Ping():
                    self._socket.offer(self._wire.pong())
                case More() | SetState():
                    raise NotSupportedYet("Windows and presence are not carried out yet.", field="t")
        except HeadwaterError as error:
            self._socket.offer(self._wire.fault(error))

    def drained(self) -> None:
        """Let everything that fell behind catch up."""
        for subscription in self._subscriptions.values():
            self._hub.resume(subscription)

    def closed(self) -> None:
        """End all subscriptions."""
        self._admissions.close()
        for sub in list(self._subscriptions):
            self._end(sub)

    def _subscribe(self, request: Subscribe) -> None:
        self._check(request)
        subscription = Subscription(self._socket, self._wire, request.group, request.item)
        subscription.label = request.sub
        if request.cursor is not None:
            subscription.epoch, subscription.cursor = request.cursor
        self._subscriptions[request.sub] = subscription
        self._admissions.ask(request.group, request.item, lambda error: self._answered(subscription, error))

    def _check(self, request: Subscribe) -> None:
        limit = self._settings.max_subscriptions
        if request.sub in self._subscriptions:
            raise InvalidInput(f"Subscription {request.sub} is open already on this socket.", sub=request.sub)
        if len(self._subscriptions) >= limit:
            raise TooMany(
                f"This socket holds {limit} subscriptions, which is the limit.",
                hint="Subscribe to groups instead of single items, or raise [socket] max_subscriptions.",
                limit=limit,
                sub=request.sub,
                ended=True,
            )

    def _answered(self, subscription: Subscription, error: HeadwaterError | None) -> None:
        sub = subscription.label
        if self._subscriptions.get(sub) is not subscription:
            return  # It was ended meanwhile.
        if error is not None:
            del self._subscriptions[sub]
            self._socket.offer(self._wire.fault(error, sub, ended=True))
            return
        feed = self._hub.begin(subscription)
        self._socket.offer(self._wire.subscribed(sub, feed))
        self._speakers.add(subscription)

    def _end(self, sub: int) -> None:
        subscription = self._subscriptions.pop(sub, None)
        if subscription is not None:
            self._hub.unsubscribe(subscription)
            self._speakers.remove(subscription)
