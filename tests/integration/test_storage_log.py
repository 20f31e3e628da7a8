"""The write-ahead log stays short, readers are not in the way, and big groups are read at a bearable cost."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import apsw
import pytest

from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore, plans
from headwater.storage.sqlite.checkpoint import RESTART_PAGES

G = GroupKey("room", "general")
PAGE = 4096


def batch(number: int, writes: int = 50) -> list[Write]:
    return [
        Write(G, f"i{(number * 37 + step * 101) % 5000}", "set", os.urandom(2000)) for step in range(writes)
    ]


async def storm(store: SqliteStore, file: Path, batches: int) -> int:
    """Write as fast as it goes; answers the longest write-ahead log, in bytes."""
    longest = 0
    for number in range(batches):
        await store.commit(batch(number), stamp=1000.0 + number)
        longest = max(longest, Path(f"{file}-wal").stat().st_size)
    return longest


async def test_the_write_ahead_log_stays_short_in_a_storm(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    store = await SqliteStore.open(file)
    longest = await storm(store, file, 600)
    await store.close()
    assert longest < 2.5 * RESTART_PAGES * PAGE
    assert not Path(f"{file}-wal").exists(), "a clean close leaves one file"


async def test_the_log_is_short_again_after_a_reader_that_stayed(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    store = await SqliteStore.open(file)
    await store.commit(batch(0), stamp=1.0)
    other = apsw.Connection(str(file))
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM items").fetchall()
    longest = await storm(store, file, 250)
    assert longest > 1.2 * RESTART_PAGES * PAGE
    other.execute("COMMIT")
    other.close()
    before = beginning(file)
    async with asyncio.timeout(60):
        while beginning(file) == before:
            await store.commit(batch(2), stamp=20_000.0)
    await store.close()


def beginning(file: Path) -> bytes:
    """The header of the write-ahead log, which is new each time that the log begins anew."""
    with Path(f"{file}-wal").open("rb") as log:
        return log.read(32)


async def test_a_commit_does_not_wait_for_a_long_read(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "data.db")
    for number in range(0, 60_000, 2000):
        writes = [Write(G, f"i{number + step}", "set", b"x" * 20) for step in range(2000)]
        await store.commit(writes, stamp=1000.0 + number)
    reading = asyncio.ensure_future(store.read(G, after=0, limit_bytes=1 << 30))
    commits = 0
    while not reading.done():
        await store.commit([Write(G, "new", "set", b"y")], stamp=100_000.0 + commits)
        commits += 1
    page = await reading
    assert commits > 1
    assert len(page.items) >= 60_000
    await store.close()


async def test_a_reader_of_a_large_group_scans_it_once_not_once_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(tmp_path / "data.db")
    for number in range(0, 20_000, 2000):
        writes = [Write(G, f"i{number + step}", "set", b"x" * 20) for step in range(2000)]
        await store.commit(writes, stamp=1000.0 + number)
    scans: list[int] = []
    scan = plans._scan  # pyright: ignore[reportPrivateUsage]

    def counted(*arguments: object) -> object:
        scans.append(1)
        return scan(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(plans, "_scan", counted)
    after, pages, complete = 0, 0, False
    while not complete:
        page = await store.read(G, after=after, limit_bytes=20_000)
        after, complete, pages = page.through, page.complete, pages + 1
    assert pages > 50
    assert len(scans) == 1
    await store.close()


async def test_what_changed_in_a_large_group_is_found_without_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(tmp_path / "data.db")
    writes = [Write(G, f"i{number}", "set", b"x" * 20) for number in range(20_000)]
    await store.commit(writes, stamp=1000.0)
    await store.commit([*writes[5:8], writes[1]._replace(kind="delete")], stamp=2000.0)
    monkeypatch.setattr(plans, "_scan", None)
    page = await store.read(G, after=20_000, limit_bytes=1000)
    assert [item.id for item in page.items] == ["i5", "i6", "i7"]
    assert [stone.id for stone in page.tombstones] == ["i1"]
    await store.close()
