"""All streams as protocol v1 tells them. Owns which wire a stream is told by: those of one realm and one
framing share it, so that frames are encoded once, and each realm has an epoch of its own."""

from __future__ import annotations

from collections.abc import Callable

from headwater.model import Subscriber
from headwater.protocol.clients.v1 import Framing, V1Wire, websocket_framing
from headwater.protocol.clients.wire import Wish
from headwater.streams.fanout.subscription import Subscription
from headwater.streams.realm import Realms


class V1Streams:
    """The streams of a server in one framing."""

    def __init__(self, realms: Realms, framing: Framing = websocket_framing) -> None:
        self._realms = realms
        self._wires = {
            realm: V1Wire(realm.store.epoch, framing) for realm in (realms.durable, realms.fleeting)
        }

    @property
    def wire(self) -> V1Wire:
        """What is said of no stream is said in the durable realm's wire."""
        return self._wires[self._realms.durable]

    def wire_of(self, stream: str) -> V1Wire:
        """The wire that tells of a stream."""
        return self._wires[self._realms.of(stream)]

    def when_declared(self, stream: str, then: Callable[[], None]) -> Callable[[], None]:
        """See Catalog.when_declared."""
        return self._realms.catalog.when_declared(stream, then)

    def subscribe(self, subscriber: Subscriber, wish: Wish) -> Subscription:
        """See Hub.subscribe."""
        realm = self._realms.of(wish.group.stream)
        return realm.hub.subscribe(subscriber, self._wires[realm], wish)
