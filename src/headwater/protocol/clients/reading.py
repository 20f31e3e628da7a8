"""How much JSON a client's message may hold, in every version of the protocol. Pure."""

from __future__ import annotations

from headwater.errors import ProtocolFault, TooComplex
from headwater.jsonshape import Shape, check_shape

MOST_VALUES = 10_000
"""JSON values of one message where nobody says another limit."""

_DEPTH = 1024
"""How deep the decoder reads, so that it says itself what is too deep."""


def check_values(text: str, most: int) -> None:
    """See that a message holds no more values than one may, before it is decoded.

    :raises ProtocolFault: it does.
    """
    if len(text) <= 2 * most:
        return
    try:
        check_shape(text.encode(), Shape(most, _DEPTH), "message", "socket.max_frame_values")
    except TooComplex as fault:
        raise ProtocolFault(fault.message, **fault.details).at("socket.max_frame_values", most) from None
