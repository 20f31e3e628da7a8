"""How much JSON a client's message may hold, in every version of the protocol. Pure."""

from __future__ import annotations

from headwater.errors import Limit, ProtocolFault, TooComplex
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
        shape = Shape(Limit("socket.max_frame_values", most), Limit("", _DEPTH))
        check_shape(text.encode(), shape, "message")
    except TooComplex as fault:
        told = ProtocolFault(fault.message, **fault.details)
        told.limit = fault.limit if "limit" in fault.details else None
        raise told from None
