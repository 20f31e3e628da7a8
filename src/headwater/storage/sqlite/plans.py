"""What a reader of one group has to be sent, before any data is read. Owns how to find what changed after v.

Two ways lead to it. Versions have no gaps, so a reader who is n versions behind is n steps back in the
group's chain through the log: a walk, cheap however large the store is. When the walk is longer than looking
through the group, or the log does not reach back so far, the group is scanned. Either gives a plan: the
entries in version order as of one moment, without their data. Pages are cut from it, also later ones, so a
group of a million items is not scanned once a page.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from typing import NamedTuple

from headwater.storage.sqlite.database import Database
from headwater.storage.sqlite.groups import DELETE, GroupState

MAX_ENTRIES = 65_536
"""Entries of one plan, at 16 bytes; a longer history takes several."""
MAX_PLANS = 8
"""Plans kept for the pages to come."""
STEPS_ALWAYS = 256
"""A walk this long is cheaper than finding out."""
ITEMS_PER_STEP = 8
"""A step of a walk costs as much as looking at this many items of a scan."""

_WALK = """
WITH RECURSIVE walk (seq, version, created, kind, prev) AS (
  SELECT seq, version, created, kind, prev FROM log WHERE seq = :last
  UNION ALL
  SELECT l.seq, l.version, l.created, l.kind, l.prev FROM walk w JOIN log l ON l.seq = w.prev
  WHERE w.version > :after + 1
) SELECT version, created, kind FROM walk
"""
_SCAN = (
    "SELECT version, created FROM items WHERE gid = :gid AND version > :after ORDER BY version LIMIT :limit"
)
_CHAIN = """
WITH RECURSIVE gone (seq, version, id, prev) AS (
  SELECT seq, version, id, prev FROM deletes WHERE seq = :last_delete AND version > :after
  UNION ALL
  SELECT d.seq, d.version, d.id, d.prev FROM gone g JOIN deletes d ON d.seq = g.prev WHERE d.version > :after
) SELECT seq, version, id FROM gone
WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.gid = :gid AND i.id = gone.id)
"""
_DELETE_OF = f"SELECT version FROM ({_CHAIN}) WHERE id = :id LIMIT 1"  # noqa: S608


class Plan(NamedTuple):
    """The entries of a group with versions in `(start, end]`, in version order, as of one moment.

    `keys` holds an item's creating version, or the negative log sequence of a delete. An entry that has been
    written since has another version; what is there now comes after `end`.
    """

    start: int
    end: int
    versions: array[int]
    keys: array[int]

    def index_after(self, version: int) -> int:
        """Where the entries above a version begin."""
        return bisect_right(self.versions, version)


class Plans:
    """Makes plans, and keeps the last few for the pages to come."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], Plan] = OrderedDict()

    def find(self, gid: int, after: int) -> Plan | None:
        """A kept plan that covers what comes right after a version."""
        for (owner, _), plan in self._kept.items():
            if owner == gid and plan.start <= after < plan.end:
                return plan
        return None

    def keep(self, gid: int, plan: Plan) -> None:
        """Keep a plan of which pages are still to be cut."""
        self._kept[gid, plan.start] = plan
        self._kept.move_to_end((gid, plan.start))
        if len(self._kept) > MAX_PLANS:
            self._kept.popitem(last=False)

    def drop(self, gid: int, plan: Plan) -> None:
        """Let go of a plan whose last page was cut; another reader of it makes a new one."""
        self._kept.pop((gid, plan.start), None)


def make_plan(db: Database, state: GroupState, after: int) -> Plan:
    """Find what changed after a version, in one read transaction with `state`.

    :raises apsw.Error: the file cannot be read.
    """
    items = _walk(db, state, after)
    if items is None:
        items = _scan(db, state, after)
    end = state.version if len(items) < MAX_ENTRIES else items[-1][0]
    gone = [entry for entry in deletes_after(db, state, after) if entry[0] <= end]
    entries = sorted(items + gone) if gone else items
    return Plan(
        after, end, array("q", [version for version, _ in entries]), array("q", [key for _, key in entries])
    )


def deletes_after(db: Database, state: GroupState, after: int) -> list[tuple[int, int]]:
    """Version and negative sequence of the last delete of each id that is gone since a version."""
    where = {"last_delete": state.last_delete, "after": after, "gid": state.gid}
    latest: dict[str, tuple[int, int]] = {}
    for seq, version, item_id in db.execute(_CHAIN, where):
        latest.setdefault(item_id, (version, -seq))
    return list(latest.values())


def delete_of(db: Database, state: GroupState, item_id: str, after: int) -> int | None:
    """The version at which an id that is gone was deleted, if that was after a version."""
    where = {"last_delete": state.last_delete, "after": after, "gid": state.gid, "id": item_id}
    found: int | None = db.execute(_DELETE_OF, where).get
    return found


def _walk(db: Database, state: GroupState, after: int) -> list[tuple[int, int]] | None:
    """Follow the group's chain back; None when that is the longer way or leads nowhere."""
    steps = state.version - after
    if steps > STEPS_ALWAYS + state.items // ITEMS_PER_STEP or steps > MAX_ENTRIES:
        return None
    rows: list[tuple[int, int, int]] = db.execute(_WALK, {"last": state.last, "after": after}).fetchall()
    if len(rows) < steps:
        return None
    latest: dict[int, tuple[int, int]] = {}
    for version, created, kind in rows:
        latest.setdefault(created, (version, kind))
    return [(version, created) for created, (version, kind) in reversed(latest.items()) if kind != DELETE]


def _scan(db: Database, state: GroupState, after: int) -> list[tuple[int, int]]:
    """Look through the group's items."""
    where = {"gid": state.gid, "after": after, "limit": MAX_ENTRIES}
    return db.execute(_SCAN, where).fetchall()
