"""Durable sets by one writer and by 64, into a store of a thousand items and one of a million.

The peer is what SQLite can do at best in the same moment: one thread that upserts one row per transaction,
with no groups, versions, log or event loop around it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import apsw
import uvloop

from benchmarks.measure.place import WORK
from benchmarks.measure.report import Result, Row, Target, median, percentile, ratio
from headwater.clock import Stamps, SystemClock
from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore
from headwater.streams.commits import CommitQueue

NAME = "store"
TITLE = "Durable sets (SQLite, synchronous=FULL, 200-byte items in groups of 100)"
SMALL, LARGE, QUICK_LARGE = 1_000, 1_000_000, 100_000
PER_GROUP = 100
WRITERS = 64
ROUNDS, QUICK_ROUNDS = 7, 3
SECONDS, QUICK_SECONDS = 2.0, 0.5
LOAD_BATCH = 1_000
PEER = "apsw upsert"
WAL_MB = 64
"""The bound that the write-ahead log has to keep, in MB."""


@dataclass
class Filled:
    """A store that holds `items` items, and the queue in front of it."""

    items: int
    file: Path
    store: SqliteStore
    queue: CommitQueue
    longest_wal: int = 0

    def look_at_wal(self) -> None:
        self.longest_wal = max(self.longest_wal, Path(f"{self.file}-wal").stat().st_size)


@dataclass
class Measured:
    """Seconds that each write took, that all of them took together, and of CPU time."""

    each: list[float]
    seconds: float
    cpu: float

    def row(self, candidate: str, stored: int, writers: int) -> Row:
        return {
            "candidate": candidate,
            "stored": stored,
            "writers": writers,
            "sets/s": len(self.each) / self.seconds,
            "p50 ms": percentile(self.each, 0.5) * 1e3,
            "p99 ms": percentile(self.each, 0.99) * 1e3,
            "CPU us": self.cpu / len(self.each) * 1e6,
            "max ms": max(self.each) * 1e3,
        }


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    return uvloop.run(_run(quick=quick))


async def _run(*, quick: bool) -> Result:
    folder = WORK / "store"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    large = QUICK_LARGE if quick else LARGE
    small_store, large_store = await fill(folder / "small.db", SMALL), await fill(folder / "large.db", large)
    db = open_peer(folder / "peer.db")
    try:
        rounds = [
            await one_round(db, small_store, large_store, QUICK_SECONDS if quick else SECONDS)
            for _ in range(QUICK_ROUNDS if quick else ROUNDS)
        ]
    finally:
        db.close()
        for filled in (small_store, large_store):
            await filled.queue.close()
            await filled.store.close()
        shutil.rmtree(folder)
    return judge(rounds, small_store, large_store)


def judge(rounds: list[dict[str, Row]], small: Filled, large: Filled) -> Result:
    rows: list[Row] = []
    for candidate in rounds[0]:
        found = [each[candidate] for each in rounds]
        columns = ("sets/s", "p50 ms", "p99 ms", "CPU us", "max ms")
        rows.append({**found[0], **{key: median(found, key) for key in columns}})
    alone, crowd = f"alone, {large.items:,}", f"crowd, {large.items:,}"
    little, little_crowd = f"alone, {small.items:,}", f"crowd, {small.items:,}"
    longest = max(small.longest_wal, large.longest_wal) / 1e6
    targets = [
        Target("p50 alone, large against small", ratio(rounds, alone, little, "p50 ms"), "at most", 1.5),
        Target(
            "sets/s of 64, small against large", ratio(rounds, little_crowd, crowd, "sets/s"), "at most", 2
        ),
        Target("longest write-ahead log, MB", longest, "at most", WAL_MB),
    ]
    against = ratio(rounds, little, PEER, "p50 ms")
    notes = [f"p50 alone in the small store is {against:.2f} of the peer's", "medians of the rounds"]
    return Result(NAME, TITLE, rows, targets, notes)


async def fill(file: Path, items: int) -> Filled:
    """Make a store and write its items, group by group."""
    store = await SqliteStore.open(file)
    stamps = Stamps(SystemClock())
    for start in range(0, items, LOAD_BATCH):
        batch = [write(number) for number in range(start, min(start + LOAD_BATCH, items))]
        await store.commit(batch, stamp=stamps.next())
    queue = CommitQueue(store, stamps, lambda _: None, max_pending_bytes=1 << 28)
    return Filled(items, file, store, queue)


def write(number: int) -> Write:
    """A set of the n-th item, about 200 bytes."""
    key = GroupKey("bench", f"g{number // PER_GROUP}")
    data = b'{"id":"i%d","at":%d,"status":"running","title":"hello world","text":"%s"}'
    return Write(
        key, f"i{number % PER_GROUP}", "set", data % (number % PER_GROUP, time.time_ns(), b"x" * 110)
    )


async def one_round(db: apsw.Connection, small: Filled, large: Filled, seconds: float) -> dict[str, Row]:
    """Everything once, so that a slow moment of the machine meets all candidates."""
    rows: dict[str, Row] = {PEER: peer(db, seconds).row(PEER, SMALL, 1)}
    for filled in (small, large):
        alone = await measure(filled, 1, seconds)
        rows[f"alone, {filled.items:,}"] = alone.row("headwater", filled.items, 1)
    for filled in (small, large):
        crowd = await measure(filled, WRITERS, seconds)
        rows[f"crowd, {filled.items:,}"] = crowd.row("headwater", filled.items, WRITERS)
    return rows


async def measure(filled: Filled, writers: int, seconds: float) -> Measured:
    """Let writers set random items, each waiting for its last set before the next."""
    each: list[float] = []
    end = time.perf_counter() + seconds

    async def writer(seed: int) -> None:
        random = Random(seed)
        while (start := time.perf_counter()) < end:
            await filled.queue.add(write(random.randrange(filled.items)))
            each.append(time.perf_counter() - start)

    started, cpu = time.perf_counter(), time.process_time()
    watching = asyncio.create_task(watch(filled))
    await _all([writer(seed) for seed in range(writers)])
    watching.cancel()
    return Measured(each, time.perf_counter() - started, time.process_time() - cpu)


async def watch(filled: Filled) -> None:
    while True:
        filled.look_at_wal()
        await asyncio.sleep(0.02)


async def _all(work: list[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*work)


def open_peer(file: Path) -> apsw.Connection:
    """A table of the same items and nothing else. It stays open: its log is slow until it was full once."""
    db = apsw.Connection(str(file))
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    db.execute("PRAGMA synchronous=FULL")
    db.execute(
        "CREATE TABLE IF NOT EXISTS items (grp TEXT, id TEXT, data BLOB, PRIMARY KEY (grp, id)) WITHOUT ROWID"
    )
    return db


def peer(db: apsw.Connection, seconds: float) -> Measured:
    """SQLite alone: one upsert, one transaction, one sync."""
    upsert = "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data"
    random, cpu = Random(1), time.process_time()
    each = list(_timed(lambda: db.execute(upsert, _row(random.randrange(SMALL))), seconds))
    return Measured(each, sum(each), time.process_time() - cpu)


def _row(number: int) -> tuple[str, str, bytes]:
    made = write(number)
    return made.group.group, made.id, made.data


def _timed(work: Callable[[], object], seconds: float) -> list[float]:
    each: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        work()
        each.append(time.perf_counter() - start)
    return each
