"""A store that many processes write, and whose notices come as badly as they may: lost, doubled, late and out
of order, the last one too."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from headwater.model import Change, GroupKey, Unit, Write
from headwater.storage.base import Committed, OnChanges, Store, UnitOutcome

NEVER, TWICE, LATE = "never", "twice", "late"


class LossyStore:
    """A Store of which this process is one of several: what is committed by `elsewhere` comes as notices.

    `fate` draws what becomes of each notice; a test may set it.
    """

    def __init__(self, inner: Store, random: Random) -> None:
        self.inner = inner
        self.random = random
        self.on_changes: OnChanges = lambda _: None
        self.followed: set[GroupKey] = set()
        self.late: list[Change] = []
        self.fates = ["now", "now", NEVER, TWICE, LATE, LATE]

    def listen(self, on_changes: OnChanges) -> None:
        self.on_changes = on_changes

    def follow(self, groups: Sequence[GroupKey]) -> None:
        self.followed.update(groups)

    def unfollow(self, groups: Sequence[GroupKey]) -> None:
        self.followed.difference_update(groups)

    async def elsewhere(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
        """Another process commits."""
        outcomes = await self.inner.commit(units, stamp=stamp)
        for outcome in outcomes:
            for change in outcome.changes if isinstance(outcome, Committed) else [outcome]:
                if isinstance(change, Change) and change.group in self.followed:
                    self._tell(change)
        return outcomes

    def _tell(self, change: Change) -> None:
        fate = self.random.choice(self.fates)
        if fate == LATE:
            self.late.append(change)
        elif fate != NEVER:
            self.on_changes([change] * (2 if fate == TWICE else 1))

    def deliver_late(self, most: int = 1) -> None:
        """Some of the notices that are late come, in any order; a few of those never do."""
        self.random.shuffle(self.late)
        coming, self.late = self.late[:most], self.late[most:]
        if coming:
            self.on_changes(coming)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)
