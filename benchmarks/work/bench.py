"""A user's group beside a million finished jobs: what a resume and a commit in it cost; and a start that
finds 100,000 queued jobs and as many outbox entries.

The same jobs are done in three stores: not at all, without history, and with it, as streams of users have.
"""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.measure.place import WORK
from benchmarks.measure.report import Result, Row, Target, median, percentile, ratio
from headwater.clock import Stamps, SystemClock
from headwater.model import GroupKey, Unit, Write
from headwater.storage.base import BEGINNING
from headwater.storage.sqlite import SqliteStore

NAME = "work"
TITLE = "A user's group beside finished jobs (SQLite, synchronous=FULL)"
JOBS, QUICK_JOBS = 1_000_000, 50_000
QUEUED, QUEUES = 100_000, 300
ITEMS = 20_000
"""In the user's group."""
BEHIND = 200
"""Versions that a resuming client has missed."""
ROUNDS, QUICK_ROUNDS = 9, 3
TRIES = 100
"""Resumes and commits of a round."""
USER = GroupKey("chat", "room")
ALONE, QUIET, LOUD = "no jobs", "jobs without history", "jobs with history"
JOB = b'{"id":"job","step":"mail","state":"queued","data":{"to":"somebody@example.org","n":12345}}'


@dataclass
class Filled:
    """A store with a user's group, beside whatever was done in it."""

    name: str
    file: Path
    store: SqliteStore
    stamps: Stamps

    async def commit(self, units: Sequence[Write | Unit]) -> None:
        await self.store.commit(units, stamp=self.stamps.next())

    async def size(self) -> float:
        """Of the file, once all is in it, in MB."""
        await self.store.close()
        size = self.file.stat().st_size / 1e6
        self.store = await SqliteStore.open(self.file)
        return size


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    return uvloop.run(_run(quick=quick))


async def _run(*, quick: bool) -> Result:
    folder = WORK / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    jobs = QUICK_JOBS if quick else JOBS
    stores = [await fill(folder / f"{number}.db", name) for number, name in enumerate((ALONE, QUIET, LOUD))]
    try:
        await work(stores[1], jobs, history=False)
        await work(stores[2], jobs, history=True)
        rounds = [
            {filled.name: await measure(filled) for filled in stores}
            for _ in range(QUICK_ROUNDS if quick else ROUNDS)
        ]
        sizes = {filled.name: await filled.size() for filled in stores}
        started = await start(stores[1])
    finally:
        for filled in stores:
            await filled.store.close()
    shutil.rmtree(folder)
    rows: list[Row] = [
        {
            "beside": f"{name} ({jobs:,})" if name != ALONE else name,
            "resume ms": median([each[name] for each in rounds], "resume ms"),
            "commit p50 ms": median([each[name] for each in rounds], "commit p50 ms"),
            "file MB": sizes[name],
        }
        for name in (ALONE, QUIET, LOUD)
    ]
    targets = [
        Target("resume, of that beside no jobs", ratio(rounds, QUIET, ALONE, "resume ms"), "at most", 1.2),
        Target(
            "commit, of that beside no jobs", ratio(rounds, QUIET, ALONE, "commit p50 ms"), "at most", 1.2
        ),
        Target("start with 100,000 queued jobs, MB more", started.megabytes, "at most", 50),
    ]
    notes = [
        f"a scan of {QUEUED:,} jobs in {QUEUES} groups took {started.scan:.2f} s, one group after the other "
        f"by `groups` and `read` {started.by_group:.2f} s",
        f"to read and settle {QUEUED:,} outbox entries took {started.outbox:.2f} s",
        "medians of the rounds; a ratio is the median of those within each round",
    ]
    return Result(NAME, TITLE, rows, targets, notes)


async def fill(file: Path, name: str) -> Filled:
    """A store with the user's group."""
    filled = Filled(name, file, await SqliteStore.open(file), Stamps(SystemClock()))
    for begin in range(0, ITEMS, 1000):
        await filled.commit([message(number) for number in range(begin, begin + 1000)])
    return filled


def message(number: int) -> Write:
    """A set of one of the user's items, of about 150 bytes."""
    return Write(USER, f"m{number}", "set", b'{"id":"m%d","text":"%s"}' % (number, b"x" * 120))


async def work(filled: Filled, jobs: int, *, history: bool) -> None:
    """Queue and finish jobs, a thousand at a time."""
    for begin in range(0, jobs, 1000):
        names = [
            (GroupKey("jobs", f"q{number % QUEUES}"), f"j{number}") for number in range(begin, begin + 1000)
        ]
        await filled.commit([Write(key, job, "set", JOB, history=history) for key, job in names])
        await filled.commit([Write(key, job, "delete", history=history) for key, job in names])


async def measure(filled: Filled) -> Row:
    """Resumes of a client that missed some changes, and commits of one write."""
    await filled.commit([message(number * 97 % ITEMS) for number in range(BEHIND)])
    (head,) = await filled.store.heads([USER])
    resumes: list[float] = []
    commits: list[float] = []
    for number in range(TRIES):
        begun = time.perf_counter()
        page = await filled.store.read(USER, after=head.version - BEHIND, limit_bytes=1 << 20)
        resumes.append(time.perf_counter() - begun)
        assert len(page.items) >= BEHIND - 1
        begun = time.perf_counter()
        await filled.commit([message(number * 31 % ITEMS)])
        commits.append(time.perf_counter() - begun)
    return {"resume ms": percentile(resumes, 0.5) * 1e3, "commit p50 ms": percentile(commits, 0.5) * 1e3}


@dataclass
class Started:
    """Seconds to find what is queued, in two ways, and to go through the outbox; megabytes it took."""

    scan: float
    by_group: float
    outbox: float
    megabytes: float


async def start(filled: Filled) -> Started:
    """Queue jobs that leave outbox entries, then find them as a process does that begins."""
    for begin in range(0, QUEUED, 1000):
        await filled.commit(
            [
                Write(
                    GroupKey("jobs", f"q{number % QUEUES}"),
                    f"j{number}",
                    "set",
                    JOB,
                    outbox=b"",
                    history=False,
                )
                for number in range(begin, begin + 1000)
            ]
        )
    before = _peak()
    begun = time.perf_counter()
    found, cursor = 0, BEGINNING
    while cursor is not None:
        stretch = await filled.store.scan("jobs", after=cursor, limit_bytes=1 << 20)
        found, cursor = found + len(stretch.items), stretch.cursor
    assert found == QUEUED
    scan, begun = time.perf_counter() - begun, time.perf_counter()
    assert await read_by_group(filled) == QUEUED
    by_group, begun = time.perf_counter() - begun, time.perf_counter()
    settled = 0
    while entries := await filled.store.outbox(limit=1000):
        await filled.commit([Unit((), settles=[entry.id for entry in entries])])
        settled += len(entries)
    assert settled == QUEUED
    return Started(scan, by_group, time.perf_counter() - begun, _peak() - before)


async def read_by_group(filled: Filled) -> int:
    """What `scan` is there to spare."""
    found, last = 0, ""
    while groups := await filled.store.groups("jobs", after=last):
        for info in groups:
            after, complete = 0, False
            while not complete:
                page = await filled.store.read(GroupKey("jobs", info.group), after=after, limit_bytes=1 << 20)
                found, after, complete = found + len(page.items), page.through, page.complete
        last = groups[-1].group
    return found


def _peak() -> float:
    """The most memory that the process held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
