"""What a client holds of one subscription, and how messages change it. Pure, no I/O; the rules are WIRE.md
sections 4 to 6.

While a catch-up is under way its pages gather in a draft; what is shown stays the last whole state until
`complete`. A live change costs the same however many items are held: it changes what is held in place, and
whoever wants a snapshot makes one with `items`.
"""

from __future__ import annotations

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
        "_completed",
        "_draft",
        "_item",
        "_newest",
        "_ordered",
        "epoch",
        "floor",
        "held",
        "live",
        "version",
        "windowed",
    )

    def __init__(self, item: str | None, *, windowed: bool = False) -> None:
        self._item = item
        self._draft: dict[str, Held] | None = None
        self.windowed = windowed
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
        if not self._ordered:
            self.held = dict(sorted(self.held.items(), key=lambda one: one[1].created))
            self._ordered = True
        return [held.data for held in self.held.values()]

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
        self.live = False
        self.version = self._completed

    def reset(self, epoch: str) -> None:
        """All of it follows."""
        self.live = False
        self._draft = {}
        self.epoch = epoch
        self.version = self.floor = 0

    def page(self, items: list[list[Any]], gone: list[list[Any]]) -> None:
        """Part of a catch-up. What is not newer than what is held of an id is dropped."""
        self.live = False
        if self._draft is None:
            self._draft = dict(self.held)
        for version, item_id in gone:
            held = self._draft.get(item_id)
            if held is not None and held.version < version:
                del self._draft[item_id]
        for version, created, data in items:
            held = self._draft.get(data["id"])
            if held is None or held.version < version:
                self._draft[data["id"]] = Held(version, created, data)

    def complete(self, version: int, epoch: str, floor: int | None) -> None:
        """The draft becomes the state."""
        if self._draft is not None:
            self.held, self._draft = self._draft, None
            self._ordered = False
            self._newest = max((held.created for held in self.held.values()), default=0)
        self.version, self.epoch, self.floor, self.live = version, epoch, floor or 0, True
        self._completed = version

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
        self.held.pop(item_id, None)
        return True

    def _takes(self, version: int, item_id: str) -> bool:
        """Whether a live frame is for this subscription; moves the cursor if so. Versions may be left out:
        what a stream's rollup merged, what lies below a window."""
        if not self.live or version <= self.version or self._item not in (None, item_id):
            return False
        self.version = version
        return True
