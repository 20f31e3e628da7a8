"""What goes wrong with the file has a clear error, loses nothing acknowledged, and passes with its cause."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from headwater.errors import StoreCorrupt, StoreFull, StoreReadOnly, StoreUnavailable
from headwater.model import Change, GroupKey, Write
from headwater.storage.sqlite import SqliteStore
from support.storage_places import (
    MOUNTING_WORKS,
    folder_without_rights,
    make_read_only,
    make_writable,
    python,
    small_disk,
)

G = GroupKey("room", "general")
BIG = b"x" * 100_000


@asynccontextmanager
async def opened(file: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(file, **options)
    try:
        yield store
    finally:
        await store.close()


class Pen:
    """Writes items and remembers which were acknowledged."""

    def __init__(self, store: SqliteStore, stamp: float = 1000.0) -> None:
        self.store = store
        self.stamp = stamp
        self.acknowledged: list[Change] = []

    async def write(self, item_id: str, data: bytes = b"{}") -> None:
        self.stamp += 1
        outcomes = await self.store.commit([Write(G, item_id, "set", data)], stamp=self.stamp)
        self.acknowledged += [outcome for outcome in outcomes if isinstance(outcome, Change)]

    async def write_until_it_fails(self) -> StoreUnavailable:
        for number in range(1000):
            try:
                await self.write(f"fill{number}", BIG)
            except StoreUnavailable as error:
                return error
        raise AssertionError("it never failed")

    async def check(self, store: SqliteStore | None = None) -> None:
        """All that was acknowledged is there, and nothing else."""
        store = store or self.store
        held: dict[str, bytes] = {change.id: change.data for change in self.acknowledged}
        for item_id, data in held.items():
            item = await store.get(G, item_id)
            assert item is not None
            assert item.data == data
        (head,) = await store.heads([G])
        assert head.version == len(self.acknowledged)
        assert [change.version for change in self.acknowledged] == list(range(1, head.version + 1))


def says(error: StoreUnavailable, *words: str) -> None:
    for word in words:
        assert word in f"{error.message} {error.hint}", error.message


if MOUNTING_WORKS:

    async def test_a_full_disk_refuses_writes_until_there_is_space(tmp_path: Path) -> None:
        with small_disk(tmp_path, "6m") as disk:
            ballast = disk / "ballast"
            ballast.write_bytes(b"x" * 3_500_000)
            async with opened(disk / "data.db") as store:
                pen = Pen(store)
                await pen.write("first")
                error = await pen.write_until_it_fails()
                assert isinstance(error, StoreFull)
                says(error, "data.db", "full", "Free some space")
                with pytest.raises(StoreFull):
                    await pen.write("still full", BIG)
                await pen.check()
                ballast.unlink()
                await pen.write("again", BIG)
                await pen.check()
            async with opened(disk / "data.db") as store:
                await pen.check(store)

    async def test_a_store_cannot_begin_on_a_full_disk(tmp_path: Path) -> None:
        with small_disk(tmp_path, "64k") as disk:
            (disk / "ballast").write_bytes(b"x" * 60_000)
            with pytest.raises(StoreFull):
                await SqliteStore.open(disk / "data.db")
            (disk / "ballast").unlink()
            shutil.rmtree(disk / "data.db", ignore_errors=True)

    async def test_a_disk_that_turns_read_only_refuses_writes_but_not_reads(tmp_path: Path) -> None:
        with small_disk(tmp_path, "8m") as disk:
            async with opened(disk / "data.db") as store:
                pen = Pen(store)
                await pen.write("a")
            make_read_only(disk)
            with pytest.raises(StoreReadOnly) as caught:
                await SqliteStore.open(disk / "data.db")
            says(caught.value, "data.db", "write")
            make_writable(disk)
            async with opened(disk / "data.db") as store:
                await pen.check(store)


async def test_a_file_that_may_not_grow_refuses_writes_and_keeps_the_rest(tmp_path: Path) -> None:
    """SQLite's own bound on the file stands in for a full disk where none can be mounted."""
    async with opened(tmp_path / "data.db") as store:
        pen = Pen(store)
        await pen.write("first", BIG)
        await limit_pages(store, 60)
        error = await pen.write_until_it_fails()
        assert isinstance(error, StoreFull)
        await pen.check()
        await pen.write("first", b"smaller")
        await limit_pages(store, 1 << 30)
        await pen.write("more", BIG)
        await pen.check()
    async with opened(tmp_path / "data.db") as store:
        await pen.check(store)


async def limit_pages(store: SqliteStore, pages: int) -> None:
    def limit() -> None:
        db = store._writer._db  # pyright: ignore[reportPrivateUsage]
        assert db is not None
        db.pragma("max_page_count", pages)

    await store._writing.run(limit)  # pyright: ignore[reportPrivateUsage]


async def test_an_input_output_error_in_the_middle_loses_that_batch_alone(tmp_path: Path) -> None:
    """Writes beyond a file size limit fail with an error that is not about space."""
    async with opened(tmp_path / "data.db") as store:
        pen = Pen(store)
        await pen.write("first")
        with largest_file((tmp_path / "data.db-wal").stat().st_size + 250_000):
            error = await pen.write_until_it_fails()
            assert not isinstance(error, StoreFull)
            says(error, "data.db", "disk")
            with pytest.raises(StoreUnavailable):
                await pen.write("second", BIG * 20)
            await pen.check()
        await pen.write("third", BIG)
        await pen.check()
    async with opened(tmp_path / "data.db") as store:
        await pen.check(store)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with folder_without_rights(tmp_path) as folder:
        with pytest.raises(StoreReadOnly) as caught:
            await SqliteStore.open(folder / "data.db")
        says(caught.value, str(folder / "data.db"), "write")


async def test_a_path_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnavailable) as caught:
        await SqliteStore.open(tmp_path / "file" / "data.db")
    says(caught.value, str(tmp_path / "file" / "data.db"))


async def test_a_path_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.db").mkdir()
    with pytest.raises(StoreUnavailable) as caught:
        await SqliteStore.open(tmp_path / "data.db")
    says(caught.value, str(tmp_path / "data.db"))


async def test_a_locked_file_refuses_writes_until_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.storage.sqlite.database.BUSY_MS", 20)
    async with opened(tmp_path / "data.db") as store:
        pen = Pen(store)
        await pen.write("a")
        other = apsw.Connection(str(tmp_path / "data.db"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as caught:
            await pen.write("b")
        says(caught.value, "data.db", "locked by another program", "Close other tools")
        await pen.check()
        other.execute("ROLLBACK")
        await pen.write("b")
        other.close()
        await pen.check()


async def test_a_file_locked_for_good_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.storage.sqlite.database.BUSY_MS", 20)
    async with opened(tmp_path / "data.db"):
        pass
    other = apsw.Connection(str(tmp_path / "data.db"))
    other.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable) as caught:
        await SqliteStore.open(tmp_path / "data.db")
    says(caught.value, "locked")
    other.close()
    async with opened(tmp_path / "data.db"):
        pass


@pytest.mark.parametrize(
    "content", [b"This is no database.\n" * 500, os.urandom(20_000), b"SQLite format 3\x00" * 99]
)
async def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "data.db"
    file.write_bytes(content)
    with pytest.raises(StoreCorrupt) as caught:
        await SqliteStore.open(file)
    says(caught.value, str(file))
    assert file.read_bytes() == content


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "data.db").touch()
    async with opened(tmp_path / "data.db") as store:
        await Pen(store).write("a")


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE songs (title)")
    other.close()
    content = file.read_bytes()
    with pytest.raises(StoreCorrupt) as caught:
        await SqliteStore.open(file)
    says(caught.value, str(file), "none of Headwater's")
    assert file.read_bytes() == content


async def test_damage_inside_the_file_is_told_when_it_is_met(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    async with opened(file) as store:
        pen = Pen(store)
        for number in range(300):
            await pen.write(f"i{number}", b"x" * 500)
    with file.open("r+b") as raw:
        raw.seek(12 * 4096)
        raw.write(os.urandom(file.stat().st_size - 14 * 4096))
    with pytest.raises(StoreCorrupt) as caught:
        await read_everything(file)
    says(caught.value, str(file), "damaged")


async def read_everything(file: Path) -> None:
    async with opened(file) as store:
        after, complete = 0, False
        while not complete:
            page = await store.read(G, after=after, limit_bytes=10_000)
            after, complete = page.through, page.complete
        for number in range(300):
            await store.get(G, f"i{number}")


async def test_a_removed_file_refuses_writes(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    async with opened(file) as store:
        pen = Pen(store)
        await pen.write("a")
        for path in tmp_path.iterdir():
            path.unlink()
        with pytest.raises(StoreUnavailable) as caught:
            await pen.write("b")
        says(caught.value, str(file), "removed", "stop the server, put the copy there, start the server")
        with pytest.raises(StoreUnavailable):
            await store.close()


async def test_a_second_store_on_one_file_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    async with opened(file) as store:
        with pytest.raises(StoreUnavailable) as caught:
            await SqliteStore.open(file)
        says(caught.value, str(file), f"in use by process {os.getpid()}")
        assert caught.value.details["pid"] == os.getpid()
        await Pen(store).write("a")


HOLD = """
import asyncio, sys
from pathlib import Path
from headwater.storage.sqlite import SqliteStore
async def main():
    await SqliteStore.open(Path(sys.argv[1]))
    print("open", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


async def test_a_file_held_by_another_process_is_free_once_that_dies(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    holder = python(HOLD, file)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreUnavailable) as caught:
            await SqliteStore.open(file)
        says(caught.value, f"in use by process {holder.pid}", "Stop the other server")
    finally:
        holder.kill()
        holder.communicate()
    async with opened(file) as store:
        await Pen(store).write("a")
