"""What a feed lacks: changes of which no notice came, or none yet. Owns what is kept until they are here.
Pure, no I/O.

A change that does not follow the last one opens a gap. It closes

- by the notices that were missing, where they only came late or out of order;
- by one page of the store, which brings the feed forward for all its subscriptions at once (`changes_of`);
- or not: where a page cannot tell each state in between, the feed begins anew, and everyone catches up alone.
"""

from __future__ import annotations

from headwater.model import Change, GroupKey, Signal
from headwater.storage.base import Page

MAX_EARLY = 256
"""Changes that are kept until those before them are here. What is beyond is read from the store."""


class Gap:
    """What is known of a feed beyond what it has."""

    __slots__ = ("early", "fruitless", "known", "signals")

    def __init__(self, known: int) -> None:
        self.known = known
        """A version that the group has reached."""
        self.early: dict[int, Change] = {}
        """Changes by version, above what is missing."""
        self.signals: list[Signal] = []
        """They follow the writes made before them, so they wait."""
        self.fruitless = 0
        """Reads in a row that brought nothing."""

    def note(self, change: Change) -> None:
        """A change has come that does not follow yet."""
        self.known = max(self.known, change.version)
        if len(self.early) < MAX_EARLY:
            self.early[change.version] = change


def changes_of(page: Page, group: GroupKey, after: int) -> list[Change] | None:
    """The changes after a version that a page of the store holds, in order, to be sent one by one. None where
    that cannot be:

    - the page is not all, so too much is missing for one read;
    - deletes were forgotten meanwhile, so what is gone is not told;
    - a version is missing below the last but one. Its item was written again, later than the change that
      follows; so what a client would hold between the two is no state that the group was in;
    - one is missing below the last, and the page goes further: a page from nothing tells of no delete, so
      what was deleted after the last change is missing at it.

    Deletes come without what the item was: a wire that needs that cannot be served so.
    """
    if not page.complete or page.head.floor > after:
        return None
    changes = [
        Change(
            group, one.id, "create" if one.created > after else "update", one.version, one.created, one.data
        )
        for one in page.items
        if one.version > after
    ]
    changes += [
        Change(group, one.id, "delete", one.version, 0, b"") for one in page.tombstones if one.version > after
    ]
    changes.sort(key=lambda change: change.version)
    versions = [change.version for change in changes]
    if versions and versions[-1] == page.through:
        versions.pop()  # What comes of it is what the group is now, whatever is missing before it.
    if versions and versions[-1] - after != len(versions):
        return None
    return changes
