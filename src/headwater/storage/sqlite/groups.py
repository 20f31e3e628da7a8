"""Where every group stands now. Owns the states in memory and the way they reach the table `groups`.

Writing a group's row with each of its writes would dirty one more random page per write, a quarter of the
throughput of a large store. So the row may lag: the log holds what it misses, and after a crash `replay`
brings it up to date. (The row of a group without history never lags, as the log tells nothing of it.) In
memory the states are always current; readers take them together with a snapshot of the file, under the
store's fence. Knows SQL of `groups` and `log`; no items.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from headwater.model import GroupKey
from headwater.storage.decide import is_text
from headwater.storage.sqlite.database import Database, transaction
from headwater.storage.sqlite.schema import meta, put_meta

CREATE, UPDATE, DELETE = 1, 0, 2
"""`log.kind`. SQLite stores 0 and 1 without a byte of their own."""

MAX_CACHED = 32_768
"""Group states kept in memory, at about 300 bytes each, beside those that lag."""
MAX_LAGGING = 16_384
"""Groups whose row may lag."""
MAX_REPLAY = 100_000
"""Log rows that a start after a crash may have to replay: a fifth of a second."""
SLICE = 2_048
"""Rows brought up to date at once, as part of a commit: about 3 ms."""

COLUMNS = "gid, version, floor, items, last, last_delete, history"
_SELECT = f"SELECT {COLUMNS} FROM groups WHERE stream = ? AND name = ?"  # noqa: S608
_UPDATE = "UPDATE groups SET version = ?, floor = ?, items = ?, last = ?, last_delete = ? WHERE gid = ?"


class GroupState:
    """One group: its last version, its floor, how many items it holds, the log sequences of its last write
    and last delete, and whether it has a history. Never changed once published: a batch works on copies."""

    __slots__ = ("floor", "gid", "history", "items", "last", "last_delete", "version")

    def __init__(
        self, gid: int, version: int, floor: int, items: int, last: int, last_delete: int, history: int
    ) -> None:
        self.gid = gid
        self.version = version
        self.floor = floor
        self.items = items
        self.last = last
        self.last_delete = last_delete
        self.history = history

    def copy(self) -> GroupState:
        """A state that a batch may change."""
        return GroupState(
            self.gid, self.version, self.floor, self.items, self.last, self.last_delete, self.history
        )

    def row(self) -> tuple[int, ...]:
        """The parameters of the row's update."""
        return (self.version, self.floor, self.items, self.last, self.last_delete, self.gid)


def is_over(state: GroupState) -> bool:
    """Whether nothing is left of a group after a commit, so that it is forgotten at once."""
    return not state.history and state.items == 0


def write_states(db: Database, states: Sequence[GroupState]) -> None:
    """Bring the rows of groups up to date, and drop those of groups that are over; in a transaction."""
    kept = [state.row() for state in states if not is_over(state)]
    over = [(state.gid,) for state in states if is_over(state)]
    if kept:
        db.executemany(_UPDATE, kept)
    if over:
        db.executemany("DELETE FROM groups WHERE gid = ?", over)


def write_bases(db: Database, bases: Mapping[str, int]) -> None:
    """Keep the bases of streams that have their own; in a transaction."""
    db.executemany(
        "INSERT INTO bases VALUES (?, ?) ON CONFLICT (stream) DO UPDATE SET base = excluded.base",
        list(bases.items()),
    )


def load(db: Database, key: GroupKey) -> GroupState | None:
    """The state in the table, which is current for every group that `KnownGroups` does not hold."""
    if not (is_text(key.stream) and is_text(key.group)):
        return None
    row: Any = db.execute(_SELECT, key).get
    return None if row is None else GroupState(*row)


class KnownGroups:
    """The published states. Written by the writer's thread under the fence, read by any thread under it."""

    def __init__(self, db: Database) -> None:
        """Take over a file: replay what the table misses.

        :raises apsw.Error: the file cannot be read or written.
        """
        self.base: int = meta(db, "base")
        self.bases: dict[str, int] = dict(db.execute("SELECT stream, base FROM bases").fetchall())
        """Of streams with a base of their own. Like a state, replaced and never changed."""
        self._states: dict[GroupKey, GroupState] = {}
        self._lagging: dict[GroupKey, int] = {}
        with transaction(db):
            replay(db)

    def get(self, key: GroupKey) -> GroupState | None:
        """The state, when it is held here."""
        return self._states.get(key)

    def base_of(self, stream: str) -> int:
        """Where groups of a stream begin that are not known."""
        return self.bases.get(stream, self.base)

    def publish(
        self,
        changed: Mapping[GroupKey, GroupState],
        settled: Collection[GroupKey],
        before: int,
        bases: Mapping[str, int],
    ) -> None:
        """Let readers see what a commit made. `settled` are the groups whose rows it brought up to date,
        `before` is the log's sequence when it began, `bases` are those it changed. Groups that are over are
        no longer known."""
        if bases:
            self.bases = {**self.bases, **bases}
        for key in settled:
            self._lagging.pop(key, None)
        for key, state in changed.items():
            self._states.pop(key, None)
            if not is_over(state):
                self._states[key] = state
                if state.history and key not in settled:
                    self._lagging.setdefault(key, before)
        if len(self._states) > MAX_CACHED + len(self._lagging):
            self._evict()

    def replace(
        self,
        changed: Mapping[GroupKey, GroupState],
        forgotten: Iterable[GroupKey],
        base: int,
        bases: dict[str, int],
    ) -> None:
        """Let readers see what a sweep made, after `settle_all`."""
        self._lagging.clear()
        for key in forgotten:
            self._states.pop(key, None)
        self._states.update(changed)
        self.base = base
        self.bases = bases

    def due(self, seq: int) -> list[GroupKey]:
        """The groups whose rows a commit at this sequence should bring up to date: usually none."""
        oldest = next(iter(self._lagging.values()), seq)
        if len(self._lagging) <= MAX_LAGGING and seq - oldest <= MAX_REPLAY:
            return []
        return list(islice(self._lagging, SLICE))

    def settle(self, db: Database, due: list[GroupKey], changed: Mapping[GroupKey, GroupState]) -> None:
        """Bring rows up to date inside a transaction that is about to publish `changed`."""
        states = sorted((changed.get(key) or self._states[key] for key in due), key=lambda state: state.gid)
        db.executemany(_UPDATE, [state.row() for state in states])

    def settled_through(self, due: list[GroupKey], before: int) -> int:
        """The sequence up to which the table will be current once `due` are settled by a commit that began at
        `before`: the oldest that still lags tells it."""
        settled = set(due)
        return next((seq for key, seq in self._lagging.items() if key not in settled), before)

    def settle_all(self, db: Database) -> None:
        """Bring every row up to date, inside a transaction."""
        self.settle(db, list(self._lagging), {})
        last: int = db.execute("SELECT ifnull(max(seq), 0) FROM log").get
        put_meta(db, settled=last)

    def _evict(self) -> None:
        """Let go of the states that were not written for longest; one that lags must stay."""
        surplus = len(self._states) - MAX_CACHED
        for key in [key for key in islice(self._states, 2 * surplus) if key not in self._lagging][:surplus]:
            del self._states[key]


def replay(db: Database) -> None:
    """Bring the table up to date with the log, inside a transaction.

    :raises apsw.Error: the file cannot be read or written.
    """
    settled: int = meta(db, "settled")
    states: dict[int, GroupState] = {}
    last = settled
    for seq, gid, version, kind in db.execute(
        "SELECT seq, gid, version, kind FROM log WHERE seq > ? ORDER BY seq", (settled,)
    ):
        last = seq
        state = states.get(gid)
        if state is None:
            row: Any = db.execute(f"SELECT {COLUMNS} FROM groups WHERE gid = ?", (gid,)).get  # noqa: S608
            if row is None:
                continue  # Forgotten since; its log rows go with time.
            state = states[gid] = GroupState(*row)
        if seq > state.last:
            state.version, state.last = version, seq
            state.items += (kind == CREATE) - (kind == DELETE)
            state.last_delete = seq if kind == DELETE else state.last_delete
    if last > settled:
        db.executemany(_UPDATE, [state.row() for state in states.values()])
        put_meta(db, settled=last)
