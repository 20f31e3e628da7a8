"""Whatever is written, swept, reopened and killed, every store agrees with the naive model."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Coroutine, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headwater.errors import SchemaMismatch
from headwater.model import GroupKey, Item, Unit, Write
from headwater.storage.base import BEGINNING, ENTRY_BYTES, Due, Page, ScanCursor, Store
from headwater.storage.memory import MemoryStore
from headwater.storage.sqlite import SqliteStore
from support.storage_model import StoreModel, described, told_entry

T = TypeVar("T")

SMALL = {
    "headwater.storage.sqlite.groups": {"MAX_CACHED": 2, "MAX_LAGGING": 2, "MAX_REPLAY": 12, "SLICE": 2},
    "headwater.storage.sqlite.file_writer": {"LOG_ROWS": 24, "PRUNE_ROWS": 4},
    "headwater.storage.sqlite.reader": {"WHOLE_ITEMS": 2},
    "headwater.storage.sqlite.plans": {
        "MAX_ENTRIES": 5,
        "STEPS_ALWAYS": 2,
        "ITEMS_PER_STEP": 2,
        "MAX_PLANS": 2,
    },
    "headwater.storage.sqlite.checkpoint": {"PASSIVE_PAGES": 4, "RESTART_PAGES": 8},
}
"""Bounds so small that short histories reach beyond all of them."""

FAST = Path("/dev/shm")
"""A folder in memory, where syncing costs nothing; these tests are about histories, not about disks."""

KEYS = [
    GroupKey("s", "a"),
    GroupKey("s", "ab"),
    GroupKey("sa", "b"),
    GroupKey("s", "a\x00"),
    GroupKey("w", "q"),
]
IDS = ["i", "ii", "j", "\u00e9", "k", "l", "m"]


def _append(data: bytes | None) -> bytes:
    return (data or b"")[-40:] + b"+"


def _refuse(data: bytes | None) -> bytes:
    if data is None or len(data) % 2:
        raise SchemaMismatch("refused", [])
    return data + b"!"


keys = st.sampled_from([KEYS[0], KEYS[0], KEYS[0], *KEYS])

writes = st.builds(
    lambda key, item_id, what, data, if_version, expires, once, reason, history: Write(
        key,
        item_id,
        "update" if callable(what) else what,
        data,
        apply=what if callable(what) else None,
        if_version=if_version,
        expires=expires,
        key=once,
        outbox=reason,
        # Mostly one stream has no history, but nothing forbids to mix.
        history=history if key.stream in "ws" else True,
    ),
    key=keys,
    item_id=st.sampled_from(IDS),
    what=st.sampled_from(["set", "set", "delete", _append, _refuse]),
    data=st.binary(max_size=60),
    if_version=st.one_of(st.none(), st.none(), st.none(), st.integers(0, 30)),
    expires=st.one_of(st.none(), st.none(), st.floats(1000, 1500)),
    once=st.one_of(st.none(), st.none(), st.none(), st.sampled_from(["k", "l", "m"])),
    reason=st.one_of(st.none(), st.none(), st.none(), st.sampled_from([b"", b"why"])),
    history=st.sampled_from([True, True, False]),
)
units = st.builds(
    lambda writes, key, settles: Unit(
        [write._replace(key=None) for write in writes], key=key, settles=settles
    ),
    writes=st.lists(writes, max_size=4),
    key=st.one_of(st.none(), st.none(), st.sampled_from(["k", "l", "m"])),
    settles=st.one_of(st.just([]), st.just([]), st.lists(st.integers(0, 8), min_size=1, max_size=3)),
)
"""`settles` are places among the entries pending before the batch."""


def _with_ids(unit: Write | Unit, pending: list[int]) -> Write | Unit:
    """The unit, settling the entries at the places that it names; a place beyond them is no entry."""
    if isinstance(unit, Write):
        return unit
    return unit._replace(
        settles=[pending[at] if at < len(pending) else 1_000_000 + at for at in unit.settles]
    )


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.patch = pytest.MonkeyPatch()
        for module, bounds in SMALL.items():
            for name, value in bounds.items():
                self.patch.setattr(f"{module}.{name}", value)
        self.folder = Path(
            tempfile.mkdtemp(prefix="headwater-histories-", dir=FAST if FAST.exists() else None)
        )
        self.lives = 0
        self.stamp = 1_000_000.0
        self.model = StoreModel()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.memory = MemoryStore()
        self.sqlite = self.do(SqliteStore.open(self.file))
        self.epoch = self.sqlite.epoch

    @property
    def file(self) -> Path:
        return self.folder / f"life{self.lives}.db"

    @property
    def stores(self) -> list[tuple[str, Store]]:
        return [("memory", self.memory), ("sqlite", self.sqlite)]

    @rule(
        batch=st.lists(st.one_of(writes, writes, units), min_size=1, max_size=12),
        seconds=st.floats(0.001, 30),
    )
    def write(self, batch: list[Write | Unit], seconds: float) -> None:
        self.commit(batch, seconds)

    def commit(self, batch: Sequence[Write | Unit], seconds: float) -> None:
        self.stamp += seconds * 1000
        model = self.model
        for name, store in self.stores:
            self.model = deepcopy(model)
            pending = [entry.id for entry in self.do(store.outbox())]
            units = [_with_ids(unit, pending) for unit in batch]
            expected = self.model.commit(units, self.stamp, pending)
            outcomes = self.do(store.commit(units, stamp=self.stamp))
            assert [described(outcome) for outcome in outcomes] == expected, name

    @rule(
        key=keys,
        after=st.one_of(st.just(0), st.integers(0, 80)),
        limit=st.sampled_from([1, 200, 100_000]),
    )
    def read(self, key: GroupKey, after: int, limit: int) -> None:
        for name, store in self.stores:
            self.check_page(name, key, after, limit, self.do(store.read(key, after=after, limit_bytes=limit)))

    @rule(
        key=keys,
        after=st.one_of(st.just(0), st.integers(0, 40)),
        limit=st.sampled_from([1, 150]),
        batches=st.lists(st.lists(writes, min_size=1, max_size=4), min_size=1, max_size=4),
    )
    def page_during_writes(self, key: GroupKey, after: int, limit: int, batches: list[list[Write]]) -> None:
        """Readers who go on where they were, however much has changed meanwhile."""
        cursors = {name: after for name, _ in self.stores}
        for batch in [*batches, *[None] * 3]:
            for name, store in self.stores:
                page = self.do(store.read(key, after=cursors[name], limit_bytes=limit))
                self.check_page(name, key, cursors[name], limit, page)
                cursors[name] = page.through
            if batch is not None:
                self.commit(batch, 0.001)

    @rule(key=keys, item_id=st.sampled_from(IDS), after=st.integers(0, 60))
    def read_one(self, key: GroupKey, item_id: str, after: int) -> None:
        head = self.model.head(key)
        items = [item for item in self.model.items(key, after) if item.id == item_id]
        gone = [stone for stone in self.model.tombstones(key, after, head.version) if stone.id == item_id]
        for name, store in self.stores:
            page = self.do(store.read(key, after=after, limit_bytes=1, only=item_id))
            assert page == Page(items, gone if after else [], head.version, True, head), name
            held = next((item for item in self.model.items(key) if item.id == item_id), None)
            assert self.do(store.get(key, item_id)) == held, name

    @rule(seconds=st.floats(0, 60), limit=st.sampled_from([1, 3, 1000]))
    def sweep(self, seconds: float, limit: int) -> None:
        now = self.stamp / 1000 + seconds
        self.model.sweep(now, 30.0)
        for _, store in self.stores:
            while self.do(store.sweep(now=now, tombstone_age=30.0, limit=limit)) == limit:
                pass

    @rule(
        key=keys,
        before=st.integers(1, 60),
        limit=st.integers(1, 6),
        limit_bytes=st.sampled_from([1, 100, 1_000_000]),
    )
    def look_through_a_window(self, key: GroupKey, before: int, limit: int, limit_bytes: int) -> None:
        expected = self.model.window(key, before, limit, limit_bytes)
        older = self.model.window(key, expected[0].created, 1, 1) if expected else []
        for name, store in self.stores:
            page = self.do(store.window(key, before=before, limit=limit, limit_bytes=limit_bytes))
            head = self.model.head(key)
            assert page == Page(expected, [], head.version, not older, head), name

    @rule(now=st.floats(1000, 1600))
    def ask_what_is_due(self, now: float) -> None:
        expected = self.model.due(now)
        for name, store in self.stores:
            found = self.do(store.due(now=now))
            assert sorted(found) == sorted(Due(*due[1:]) for due in expected), name

    @rule()
    def reopen(self) -> None:
        self.do(self.sqlite.close())
        self.sqlite = self.do(SqliteStore.open(self.file))
        assert self.sqlite.epoch == self.epoch

    @rule()
    def kill(self) -> None:
        """The files as they are, taken elsewhere, are what a killed process leaves behind."""
        left, self.lives = self.file, self.lives + 1
        for suffix in ("", "-wal", ".marker"):
            # Another process copies: closing a file here would drop SQLite's own locks on it.
            subprocess.run(["cp", f"{left}{suffix}", f"{self.file}{suffix}"], check=True)
        self.do(self.sqlite.close())
        self.sqlite = self.do(SqliteStore.open(self.file))
        assert self.sqlite.epoch == self.epoch

    @invariant()
    def heads_and_listings_agree(self) -> None:
        if not hasattr(self, "sqlite"):
            return
        expected = [self.model.head(key) for key in KEYS]
        listed = sorted(
            (key.group, len(self.model.items(key)), self.model.head(key).version)
            for key in KEYS
            if key.stream == "s" and self.model.items(key)
        )
        for name, store in self.stores:
            assert self.do(store.heads(KEYS)) == expected, name
            assert self.do(store.groups("s")) == listed, name
            found = self.do(store.outbox())
            assert [told_entry(entry) for entry in found] == self.model.outbox, name
            assert [entry.id for entry in found] == sorted({entry.id for entry in found}), name

    @rule(stream=st.sampled_from(["s", "w"]), limit_bytes=st.sampled_from([1, 150, 100_000]))
    def scan(self, stream: str, limit_bytes: int) -> None:
        for name, store in self.stores:
            found: list[tuple[str, Item]] = []
            cursor: ScanCursor | None = BEGINNING
            while cursor is not None:
                stretch = self.do(store.scan(stream, after=cursor, limit_bytes=limit_bytes))
                found += stretch.items
                cursor = stretch.cursor
            assert found == self.model.scan(stream), name

    def check_page(self, name: str, key: GroupKey, after: int, limit: int, page: Page) -> None:
        head = self.model.head(key)
        assert page.head == head, name
        assert page.complete == (page.through >= head.version), name
        assert page.items == self.model.items(key, after, page.through), name
        gone = self.model.tombstones(key, after, page.through) if after else []
        assert [stone for stone in page.tombstones if stone in gone] == gone, name
        later = {stone.id for stone in self.model.tombstones(key, page.through, head.version)}
        assert all(stone.id in later for stone in page.tombstones if stone not in gone), name
        entries = [*page.items, *page.tombstones]
        assert entries or page.complete, name
        sizes = [ENTRY_BYTES + len(item.data) for item in page.items] + [ENTRY_BYTES] * len(page.tombstones)
        last_first = sorted(zip(entries, sizes, strict=True), key=lambda pair: -pair[0].version)
        assert sum(size for _, size in last_first[1:]) <= limit, name

    def teardown(self) -> None:
        if hasattr(self, "sqlite"):
            self.do(self.sqlite.close())
        self.loop.close()
        self.patch.undo()
        shutil.rmtree(self.folder)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
