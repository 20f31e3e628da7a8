"""What a client of protocol v1 may do, and when: the rules of one session. A state machine without I/O.

What may live here: which subscription numbers are open, how many there may be, what each message asks. What
may not: sockets, tasks, the hub, clocks. Text goes in, a thing to do comes out, or an answer that is ready to
send.
"""

from __future__ import annotations

from collections.abc import Callable

from headwater.errors import HeadwaterError, InvalidInput, ProtocolFault, TooMany
from headwater.protocol.clients.reading import MOST_VALUES
from headwater.protocol.clients.v1 import V1Wire
from headwater.protocol.clients.v1_requests import (
    Cancel,
    GiveToken,
    More,
    Ping,
    Request,
    SendEvent,
    SetState,
    Subscribe,
    Unsubscribe,
    WriteItem,
    parse_request,
)

Refusing = Callable[[HeadwaterError], None]
"""Hears of an error that is answered."""

ToDo = Subscribe | Unsubscribe | More | SetState | Cancel | WriteItem | SendEvent | GiveToken
"""What the owner of the session carries out. What is about a subscription names one that is open, but for a
`Subscribe`; one that is to end may have been refused before."""


class SessionRules:
    """The rules of one client's session."""

    __slots__ = ("_max_id_bytes", "_max_subscriptions", "_max_values", "_open", "_wire")

    def __init__(
        self, wire: V1Wire, *, max_subscriptions: int, max_id_bytes: int, max_values: int = MOST_VALUES
    ) -> None:
        self._wire = wire
        self._max_subscriptions = max_subscriptions
        self._max_id_bytes = max_id_bytes
        self._max_values = max_values
        self._open: set[int] = set()

    def receive(self, text: str, refusing: Refusing = lambda _error: None) -> ToDo | bytes | None:
        """What one message asks for: something to carry out, an answer to send, or nothing (it is
        settled). `refusing` hears of the error that an answer tells."""
        try:
            request = parse_request(text, max_id_bytes=self._max_id_bytes, max_values=self._max_values)
            return self._judge(request)
        except HeadwaterError as error:
            refusing(error)
            sub = error.details.get("sub")
            never_began = isinstance(error, ProtocolFault) and sub is not None and sub not in self._open
            return self._wire.fault(error, ended=never_began or isinstance(error, TooMany))

    def refused(self, sub: int, error: HeadwaterError) -> bytes:
        """A subscription was not admitted: it is over, and this is what the client is told."""
        self._open.discard(sub)
        return self._wire.fault(error, sub, ended=True)

    def revoked(self, sub: int, error: HeadwaterError) -> bytes:
        """A subscription that was open is taken away, and this is what the client is told."""
        self._open.discard(sub)
        return self._wire.revoked(sub, error)

    def _judge(self, request: Request) -> ToDo | bytes | None:
        match request:
            case Ping():
                return self._wire.pong()
            case Subscribe():
                return self._subscribe(request)
            case Unsubscribe():
                self._open.discard(request.sub)
                return request
            case Cancel(sub, _, ask) | SetState(sub, _, int() as ask):
                if sub not in self._open:
                    return self._wire.refused(_not_open(sub), sub, ask)
                return request
            case WriteItem() | SendEvent() | GiveToken():
                return request
            case More() | SetState():
                if request.sub not in self._open:
                    raise _not_open(request.sub)
                return request

    def _subscribe(self, request: Subscribe) -> ToDo | bytes:
        if request.sub in self._open:
            raise InvalidInput(f"Subscription {request.sub} is open already.", hint="Use a new number.")
        limit = self._max_subscriptions
        if len(self._open) >= limit:
            raise TooMany(
                f"This socket holds {limit} subscriptions, which is the limit.",
                hint="Subscribe to groups instead of single items, or raise [socket] max_subscriptions.",
                limit=limit,
                sub=request.sub,
            ).at("socket.max_subscriptions", limit)
        self._open.add(request.sub)
        return request


def _not_open(sub: int) -> InvalidInput:
    return InvalidInput(f"There is no open subscription {sub}.", sub=sub)
