"""What a subscription has for the one who reads it: its latest state, its events, each change. Owns what a
slow reader gets instead of everything; knows no connection."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Literal, NamedTuple

from headwater.client.subscription import Subscription

Item = dict[str, Any]

EVENTS_KEPT = 1000
"""Events and changes that wait for a slow reader; older ones are dropped, as they would be for one who was
away."""


class Event(NamedTuple):
    """An ephemeral event."""

    type: str
    data: Any


class Changed(NamedTuple):
    """What became of one item: `kind` "create", "update" or "delete", and the item (for a delete as it
    was)."""

    kind: Literal["create", "update", "delete"]
    item: Item


class Reader:
    """What one subscription has for the one who reads it."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.fresh = False
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.error: dict[str, Any] | None = None
        self.changes: Changes | None = None
        """Set where each change counts, and not only the latest state."""


class Changes:
    """The changes of one group that wait for a reader. One that is too slow gets their sum instead of
    each.

    To sum up costs what the group holds, so it waits until as much has come again as the last sum left:
    a change costs the same on average, however large the group.
    """

    def __init__(self) -> None:
        self.waiting: deque[Changed] = deque()
        self._most = EVENTS_KEPT
        self._known: dict[str, Item] = {}
        self._given: dict[str, Item] = {}

    def note(self, subscription: Subscription, touched: str | None) -> None:
        """The state has changed: in one item, or (None) as a whole."""
        if touched is None:
            now = {item["id"]: item for item in subscription.state.items()}
            self.waiting.extend(differences(self._known, now))
            self._known = now
        else:
            held = subscription.state.held.get(touched)
            now = {} if held is None else {touched: held.data}
            before = {touched: self._known[touched]} if touched in self._known else {}
            self.waiting.extend(differences(before, now))
            self._known.pop(touched, None)
            self._known.update(now)
        if len(self.waiting) > self._most:
            self.waiting = deque(differences(self._given, self._known))
            self._most = max(EVENTS_KEPT, 2 * len(self.waiting))

    def take(self) -> Changed:
        """The next change."""
        changed = self.waiting.popleft()
        if changed.kind == "delete":
            self._given.pop(changed.item["id"], None)
        else:
            self._given[changed.item["id"]] = changed.item
        return changed


def differences(before: dict[str, Item], now: dict[str, Item]) -> list[Changed]:
    """What leads from one state to the other, an item at most once."""
    gone = [Changed("delete", item) for known, item in before.items() if known not in now]
    made = [
        Changed("update" if known in before else "create", item)
        for known, item in now.items()
        if before.get(known) is not item
    ]
    return gone + made
