"""What a client holds of one subscription, and how messages change it. Pure, no I/O; the rules are WIRE.md
sections 4 to 6.

While a catch-up is under way its pages gather in a draft; what is shown stays the last whole state until
`complete`. A live change costs the same however many items are held: it changes what is held in place, and
whoever wants a snapshot makes one with `items`.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

from headwater.protocol.clients.delta import Operation, apply_delta


class Lost(Exception):
    """A frame has been lost: the subscription must be asked for again, from its last cursor."""


class Held(NamedTuple):
    """One item as the client holds it. `data` has the item's id as its member "id"."""

    version: int
    created: int
    data: dict[str, Any]


class State:
    """The items of one subscription, by id."""

    __slots__ = (
        "_answered",
        "_completed",
        "_draft",
        "_item",
        "_newest",
        "_older",
        "_ordered",
        "_stuck",
        "epoch",
        "filling",
        "floor",
        "held",
        "live",
        "size",
        "version",
    )

    def __init__(self, item: str | None, *, size: int = 0) -> None:
        self._item = item
        self._draft: dict[str, Held] | None = None
        self.size = size
        """Items that a window is to hold; 0 where this is none."""
        self.filling = False
        """The server was asked for older items of the window and has not answered."""
        self._answered = False
        """The answer has begun to come."""
        self._older = 0
        """Items below the floor, as far as they are known: at least so many."""
        self._stuck = False
        """What was asked for last brought nothing, and nothing has happened since."""
        self.held: dict[str, Held] = {}
        """What is held, by id; the next change changes it."""
        self._newest = 0
        """No item held was created by a later version."""
        self._ordered = True
        """Whether `held` goes by creation. It nearly always does, since what is created comes last."""
        self.epoch = ""
        self.version = 0
        """The group version that `held` is; with `epoch` it is the cursor to resume from. 0 with an empty
        epoch: nothing."""
        self.floor = 0
        """The creating version of the window's oldest item; 0 when everything is held."""
        self.live = False
        self._completed = 0

    def items(self) -> list[dict[str, Any]]:
        """The items in creation order: a new list, of objects that are never changed."""
        self._order()
        return [held.data for held in self.held.values()]

    def _order(self) -> None:
        if not self._ordered:
            self.held = dict(sorted(self.held.items(), key=lambda one: one[1].created))
            self._ordered = True

    @property
    def short(self) -> int:
        """Older items that a window lacks; one, where it is not known whether there still are any."""
        if not self.size or not self.floor or self._stuck:
            return 0
        return max(self.size - len(self.held), 0 if self._older else 1)

    def ask(self) -> None:
        """The server is asked for older items."""
        self.filling, self._answered = True, False

    def begin(self) -> None:
        """A subscription has begun, from the cursor or from nothing; what an earlier one left unfinished is
        void."""
        self.live = False
        self._draft = None if self.version else {}

    def fall_behind(self) -> None:
        """Live frames are not for this subscription until the next `complete`."""
        self.live = False

    def lose(self) -> None:
        """A frame was lost, nobody knows which: what came since the last `complete` is asked for again."""
        self.live = self.filling = False
        self.version = self._completed

    def reset(self, epoch: str) -> None:
        """All of it follows."""
        self.live = self.filling = False
        self._draft = {}
        self.epoch = epoch
        self.version = self.floor = 0

    def page(self, items: list[list[Any]], gone: list[list[Any]], *, older: bool = False) -> None:
        """Part of a catch-up. What is not newer than what is held of an id is dropped, and so is what lies
        below the window, unless it was asked for (`older`)."""
        self.live = False
        self._answered = self._answered or older
        if self._draft is None:
            self._draft = dict(self.held)
        for version, item_id in gone:
            held = self._draft.get(item_id)
            if held is None:
                self._older = 0
            elif held.version < version:
                del self._draft[item_id]
        for version, created, data in items:
            held = self._draft.get(data["id"])
            if (older or created >= self.floor) if held is None else held.version < version:
                self._draft[data["id"]] = Held(version, created, data)

    def complete(self, version: int, epoch: str, floor: int | None) -> None:
        """The draft becomes the state."""
        floor, before = floor or 0, len(self.held)
        if self._draft is not None:
            self.held, self._draft = self._draft, None
            self._ordered = False
            self._newest = max((held.created for held in self.held.values()), default=0)
        filled = self.filling and self._answered
        self._stuck = filled and floor == self.floor and len(self.held) == before
        if filled or not self.floor:
            self._older = 1 if floor else 0
        # A window that has dropped its oldest begins later than the server knows.
        self.floor = floor if filled else max(floor, self.floor)
        if filled:
            self.filling = False
        self.version, self.epoch, self.live = version, epoch, True
        self._completed = version
        self._trim()

    def set(self, version: int, created: int, data: dict[str, Any]) -> bool:
        """A live create or replacement. False when it is not for this subscription."""
        if not self._takes(version, data["id"]) or created < self.floor:
            return False
        before = self.held.get(data["id"])
        if before is not None and before.created != created:
            del self.held[data["id"]]  # Deleted and set again, which a rollup may tell as one: it goes last.
            before = None
        if before is None:
            self._ordered = self._ordered and created > self._newest
            self._newest = max(self._newest, created)
        self.held[data["id"]] = Held(version, created, data)
        self._trim()
        return True

    def patch(self, version: int, item_id: str, operations: list[Operation]) -> bool:
        """A live change by operations. False when it is not for this subscription.

        :raises Lost: the item is not held, or the operations do not fit it.
        """
        if not self._takes(version, item_id):
            return False
        held = self.held.get(item_id)
        if held is None and self.floor:
            return False
        if held is None:
            raise Lost(item_id)
        try:
            data = apply_delta(held.data, operations)
        except ValueError as fault:
            raise Lost(item_id) from fault
        self.held[item_id] = Held(version, held.created, data)
        return True

    def gone(self, version: int, item_id: str) -> bool:
        """A live delete. False when it is not for this subscription."""
        if not self._takes(version, item_id):
            return False
        if self.held.pop(item_id, None) is None:
            self._older = max(self._older - 1, 0)
        return True

    def _trim(self) -> None:
        """A window keeps its size: the oldest go. While older ones are on their way there must be no hole
        above them."""
        if not self.size or self.filling or len(self.held) <= self.size:
            return
        self._order()
        spare = list(islice(self.held, len(self.held) - self.size))
        for item_id in spare:
            del self.held[item_id]
        self._older += len(spare)
        self.floor = next(iter(self.held.values())).created

    def _takes(self, version: int, item_id: str) -> bool:
        """Whether a live frame is for this subscription; moves the cursor if so. Versions may be left out:
        what a stream's rollup merged, what lies below a window."""
        if not self.live or version <= self.version or self._item not in (None, item_id):
            return False
        self.version = version
        self._stuck = False
        return True
