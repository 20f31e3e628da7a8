"""A process killed in a storm of writes loses nothing it acknowledged, ten times over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from headwater.model import Change, GroupKey, Item, Write
from headwater.storage.sqlite import SqliteStore
from headwater.storage.sqlite import marker as markers
from support.storage_storm import GROUPS, STREAM, UNIT_IDS, WORK

TESTS = Path(__file__).parents[1]
KILLS = 10
LEAST_LINES = 200


class Acknowledged(NamedTuple):
    group: str
    version: int
    kind: str
    id: str
    nonce: str


class Life(NamedTuple):
    """What one process told before it died."""

    epoch: str
    writes: list[Acknowledged]


@contextmanager
def storm(file: Path, seed: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "support.storage_storm", file, str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def live_and_die(file: Path, seed: int) -> Life:
    """Let a storm rage until some lines were read, then kill it; the pipe holds what it still said."""
    with storm(file, seed) as process:
        assert process.stdout is not None
        word, _, epoch = process.stdout.readline().strip().partition(" ")
        assert word == "open"
        lines = [process.stdout.readline() for _ in range(LEAST_LINES + Random(seed).randrange(1000))]
        process.kill()
        lines += process.stdout.readlines()
    whole = [line for line in lines if line.endswith("\n")]
    return Life(epoch, [told(line) for line in whole])


def told(line: str) -> Acknowledged:
    group, version, kind, item_id, nonce = line.split()
    return Acknowledged(group, int(version), kind, item_id, nonce)


async def held(store: SqliteStore, key: GroupKey) -> tuple[int, dict[str, Item], dict[str, int]]:
    """A group's version, its items and its tombstones, read in small pages."""
    items: dict[str, Item] = {}
    after, complete = 0, False
    while not complete:
        page = await store.read(key, after=after, limit_bytes=2_000)
        items.update((item.id, item) for item in page.items)
        after, complete = page.through, page.complete
    since_the_first = await store.read(key, after=1, limit_bytes=1 << 30)
    return after, items, {stone.id: stone.version for stone in since_the_first.tombstones}


async def test_every_acknowledged_write_survives_ten_kills(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    lives: list[Life] = []
    for seed in range(KILLS):
        lives.append(live_and_die(file, seed))
        await check(file, lives)
    assert len({life.epoch for life in lives}) == 1, "with synchronous=FULL history goes on"
    assert sum(len(life.writes) for life in lives) >= KILLS * LEAST_LINES


async def check(file: Path, lives: list[Life]) -> None:
    """Look at a copy of all there is, so that the next life finds what the killed one left."""
    copy = file.parent / "copy.db"
    for suffix in ("", "-wal", ".marker"):
        if (left := Path(f"{file}{suffix}")).exists():
            shutil.copyfile(left, f"{copy}{suffix}")
    store = await SqliteStore.open(copy)
    assert store.epoch == lives[-1].epoch
    for number in range(GROUPS):
        key = GroupKey(STREAM, f"g{number}")
        check_group(*await held(store, key), [life.writes for life in lives], key.group)
        await check_next_version(store, key)
    await check_units(store)
    await store.close()


async def check_units(store: SqliteStore) -> None:
    """Each unit set the same item everywhere, and left one entry instead of the one before."""
    everywhere = [WORK, *(GroupKey(STREAM, f"g{number}") for number in range(GROUPS))]
    for number in range(UNIT_IDS):
        found = [await store.get(key, f"u{number}") for key in everywhere]
        assert len({item and item.data for item in found}) == 1, "half a unit"
    (entry,) = await store.outbox()
    (head,) = await store.heads([WORK])
    item = await store.get(WORK, entry.item)
    assert item is not None
    assert (entry.after, entry.version) == (item.data, head.version) == (item.data, item.version)


def check_group(
    version: int, items: dict[str, Item], gone: dict[str, int], lives: list[list[Acknowledged]], group: str
) -> None:
    """Nothing acknowledged is missing. What was committed but not acknowledged may be there: it came last in
    its life, so the versions of each life are without gaps up to where it was cut off."""
    last: dict[str, Acknowledged] = {}
    end = 0
    acknowledged: set[int] = set()
    for writes in lives:
        versions = [write.version for write in writes if write.group == group]
        if versions:
            assert versions == list(range(versions[0], versions[0] + len(versions)))
            assert end < versions[0] <= end + 65, "at most one batch was never acknowledged"
            end = versions[-1]
            acknowledged.update(versions)
        last.update((write.id, write) for write in writes if write.group == group)
    assert end <= version <= end + 64
    for item_id, write in last.items():
        now = items[item_id].version if item_id in items else gone[item_id]
        assert now >= write.version
        if now == write.version:
            assert (item_id in gone) == (write.kind == "delete")
            assert item_id in gone or items[item_id].data.split(b" ")[0].decode() == write.nonce
        else:
            assert now not in acknowledged, "only what was never acknowledged may have come later"


async def check_next_version(store: SqliteStore, key: GroupKey) -> None:
    (head,) = await store.heads([key])
    (change,) = await store.commit([Write(key, "next", "set", b"0 ")], stamp=store.stamp + 1)
    assert isinstance(change, Change)
    assert change.version == head.version + 1


@pytest.mark.parametrize(
    ("synchronous", "boot", "same"),
    [
        ("full", "another", True),
        ("normal", "this", True),
        ("normal", "another", False),
        ("normal", "", False),
    ],
    ids=["full, power cut", "normal, killed", "normal, power cut", "normal, nobody knows"],
)
async def test_an_unclean_end_begins_a_new_epoch_only_where_commits_may_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str, boot: str, same: bool
) -> None:
    """What a killed process wrote lies in the memory of the system; a start of the machine loses that."""
    code = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from headwater.storage.sqlite import SqliteStore\n"
        "async def main():\n"
        "    store = await SqliteStore.open(Path(sys.argv[1]), synchronous=sys.argv[2])\n"
        "    print(store.epoch, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    file = tmp_path / "data.db"
    command = [sys.executable, "-c", code, file, synchronous]
    died = subprocess.run(command, capture_output=True, text=True, check=False)
    assert died.returncode == -9
    if boot != "this":
        monkeypatch.setattr(markers, "_boot", lambda: boot)
    store = await SqliteStore.open(file)
    assert (store.epoch == died.stdout.strip()) is same
    epoch = store.epoch
    await store.close()
    store = await SqliteStore.open(file, synchronous="normal")
    assert store.epoch == epoch, "the clean end between the two is proof enough"
    await store.close()
