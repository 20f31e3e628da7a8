"""How much JSON a client's message may hold, in every version of the protocol. Pure."""

from __future__ import annotations

from headwater.errors import Limit, ProtocolFault, TooComplex
from headwater.jsonshape import ANY_DEPTH, Shape, check_shape

MOST_VALUES = 10_000
"""JSON values of one message where nobody says another limit."""


def check_values(text: str, most: int) -> None:
    """See that a message holds no more values than one may, before it is decoded.

    :raises ProtocolFault: it does.
    """
    if len(text) <= 2 * most:
        return
    try:
        shape = Shape(Limit("socket.max_frame_values", most), ANY_DEPTH)
        check_shape(text.encode(), shape, "message")
    except TooComplex as fault:
        # No name for it, as in `jsonshape.py`.
        raise ProtocolFault(fault.message, **fault.details).at("socket.max_frame_values", most) from None
