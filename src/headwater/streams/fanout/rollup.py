"""What a feed holds back, made less: several changes of one item become one. Pure, no I/O.

A stream may ask for it (`rollup`, in milliseconds): the first change leaves at once, later ones at most once
an interval, merged. Holding one change back holds every later one of that feed, so a cursor never passes a
withheld change.
"""

from __future__ import annotations

from collections.abc import Sequence

from headwater.model import Signal
from headwater.protocol.clients.wire import Advance


def merge(pending: Sequence[Advance | Signal], *, versioned: bool = True) -> list[Advance | Signal]:
    """The least that leads a subscriber to the same state: each item's last change, at its place in the
    order.

    Where frames carry versions (`versioned`) that is the place of the last change, so that versions rise; a
    client orders items by the creating version. Where they do not, an item must be created at its own place:
    a client appends it as it comes.

    The kind is the net effect on who has been sent nothing of it: created and then updated is created,
    created and then deleted is nothing. Deleted and then created again stays two, since the item moves to the
    end. Signals keep their place and are not passed by a change.

    For each pending one:

    - A signal: kept; what comes after it joins nothing from before it.
    - The first change of an item since then: kept where it stands.
    - One that cancels the earlier out (created, deleted): both go.
    - One that joins the earlier: the earlier goes, the joined stands here; but a creation without versions
      stays at the earlier's place.
    - One that cannot join the earlier (deleted, then created): both stay.
    """
    kept: list[Advance | Signal | None] = []
    places: dict[str, int] = {}
    for one in pending:
        if isinstance(one, Signal):
            places.clear()
            kept.append(one)
            continue
        place = places.pop(one.change.id, None)
        before = kept[place] if place is not None else None
        joined = _join(before, one) if isinstance(before, Advance) else one
        if place is not None and joined is not one:
            kept[place] = None
        if joined is None:
            continue
        if place is not None and joined.change.kind == "create" and joined is not one and not versioned:
            kept[place], places[one.change.id] = joined, place
            continue
        places[one.change.id] = len(kept)
        kept.append(joined)
    return [one for one in kept if one is not None]


def _join(first: Advance, then: Advance) -> Advance | None:
    """Two changes of one item as one; None when they cancel out; `then` itself when they cannot be joined."""
    match first.change.kind, then.change.kind:
        case "create", "delete":
            return None
        case _, "create":
            return then
        case "create", _:
            return Advance(then.change._replace(kind="create"), then.feed, None)
        case _:
            return Advance(then.change._replace(delta=_joined(first, then)), then.feed, first.before)


def _joined(first: Advance, then: Advance) -> bytes | None:
    """What two changes told, as one."""
    one, other = first.change.delta, then.change.delta
    return None if one is None or other is None else one[:-1] + b"," + other[1:]
