"""History goes on in the file that was written here last, and in no other: whatever is put in its place
begins a new epoch, and no kill does."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headwater.errors import StoreCorrupt
from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore
from support.storage_places import python

TESTS = Path(__file__).parents[1]
G = GroupKey("room", "general")
WORK = GroupKey("work", "queue")


@asynccontextmanager
async def opened(file: Path, *, new_epoch: bool = False) -> AsyncGenerator[SqliteStore]:
    store = await SqliteStore.open(file, new_epoch=new_epoch)
    try:
        yield store
    finally:
        await store.close()


async def run(file: Path, *ids: str, group: GroupKey = G) -> str:
    """One run, from a start to a clean end; answers its epoch."""
    async with opened(file) as store:
        for item_id in ids:
            await store.commit([Write(group, item_id, "set", b"{}", history=group is G)], stamp=1.0)
        return store.epoch


async def ids(file: Path) -> set[str]:
    async with opened(file) as store:
        page = await store.read(G, after=0, limit_bytes=1 << 20)
        return {item.id for item in page.items}


def parts(file: Path) -> list[Path]:
    return [part for suffix in ("", "-wal", "-shm", ".marker") if (part := Path(f"{file}{suffix}")).exists()]


def copy(file: Path, folder: Path, *, only: Callable[[Path], bool] = lambda _: True) -> Path:
    """Copy a store to a folder, or those of its files that are named."""
    folder.mkdir(exist_ok=True)
    for part in filter(only, parts(file)):
        shutil.copyfile(part, folder / part.name)
    return folder / file.name


def is_database(part: Path) -> bool:
    return part.suffix == ".db"


def restore(backup: Path, file: Path) -> None:
    """As people do: what is there goes, the copy takes its place."""
    for part in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        part.unlink(missing_ok=True)
    shutil.copyfile(backup, file)


WRITE_AND_DIE = """
import asyncio, os, sys
from pathlib import Path
from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore
async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    print(store.epoch, flush=True)
    for line in sys.stdin:
        group = GroupKey("work", "queue") if line[0] == "w" else GroupKey("room", "general")
        write = Write(group, line.strip(), "set", b"{}", history=line[0] != "w")
        await store.commit([write], stamp=1.0)
        print("kept", flush=True)
asyncio.run(main())
"""


class Running:
    """A process that holds a store, until it is killed."""

    def __init__(self, file: Path) -> None:
        self._process = python(WRITE_AND_DIE, file)
        self.epoch = self._line()

    def write(self, *item_ids: str) -> None:
        """Have items written; an id that begins with "w" goes to a group without history."""
        assert self._process.stdin
        for item_id in item_ids:
            self._process.stdin.write(f"{item_id}\n")
            self._process.stdin.flush()
            assert self._line() == "kept"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


BACKUP = """
import sqlite3, sys
source, target = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2])
source.backup(target)
source.close()
target.close()
"""


def live_backup(file: Path, backup: Path) -> Path:
    """A copy of a store in use, as SQLite's own tools make it; in another process, as they are: two SQLites
    in one end each other's locks."""
    subprocess.run([sys.executable, "-c", BACKUP, str(file), str(backup)], check=True)
    return backup


async def test_history_goes_on_over_clean_ends(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    assert len({await run(file, item_id) for item_id in "abc"}) == 1


async def test_an_older_copy_begins_a_new_epoch(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    epoch = await run(file, "a")
    backup = copy(file, tmp_path / "backup", only=is_database)
    assert await run(file, "b") == epoch
    restore(backup, file)
    new = await run(file)
    assert new != epoch
    assert await run(file, "c") == new, "and history goes on from there"
    assert await ids(file) == {"a", "c"}


async def test_an_older_copy_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "data.db"
    await run(file, "a")
    backup = copy(file, tmp_path / "backup", only=is_database)
    await run(file, "b")
    assert not caplog.records
    restore(backup, file)
    await run(file)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert str(file) in record.getMessage()
    assert "new epoch: it is not the file that was written here last" in record.getMessage()


async def test_a_copy_of_the_last_end_is_that_history(tmp_path: Path) -> None:
    """Nothing came after it, so no version can be used twice."""
    file = tmp_path / "data.db"
    epoch = await run(file, "a")
    backup = copy(file, tmp_path / "backup", only=is_database)
    restore(backup, file)
    assert await run(file) == epoch


@pytest.mark.parametrize("after", ["b", "w1"], ids=["a write", "a write without history"])
async def test_a_copy_made_in_the_run_that_was_killed_begins_a_new_epoch(tmp_path: Path, after: str) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a", "w0")
    backup = live_backup(file, tmp_path / "backup.db")
    server.write(after)
    server.kill()
    restore(backup, file)
    assert await run(file) != server.epoch
    assert await ids(file) == {"a"}


async def test_a_copy_made_in_the_run_that_ended_begins_a_new_epoch(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    async with opened(file) as store:
        await store.commit([Write(G, "a", "set", b"{}")], stamp=1.0)
        backup = live_backup(file, tmp_path / "backup.db")
    restore(backup, file)
    assert await run(file) != store.epoch


async def test_a_killed_store_whose_log_is_gone_begins_a_new_epoch(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a", "b")
    server.kill()
    Path(f"{file}-wal").unlink()
    assert await run(file) != server.epoch


async def test_a_killed_store_whose_log_was_cut_begins_a_new_epoch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a", "b")
    server.kill()
    log = Path(f"{file}-wal")
    os.truncate(log, log.stat().st_size - 100)
    assert await run(file) != server.epoch
    assert "lacks the last 1 commits" in caplog.text
    assert await ids(file) == {"a"}


async def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    await run(file, *(f"i{number}" for number in range(300)))
    os.truncate(file, file.stat().st_size - 4096)
    before = file.read_bytes()
    with pytest.raises(StoreCorrupt) as caught:
        await SqliteStore.open(file)
    assert "is damaged" in caught.value.message
    assert file.read_bytes() == before


async def test_a_file_from_elsewhere_begins_a_new_epoch(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, other = tmp_path / "data.db", tmp_path / "there" / "data.db"
    epochs = {await run(file, "a"), await run(other, "b")}
    restore(other, file)
    assert await run(file) not in epochs


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe" * 40, b"0" * 20 + b"\n[]\n", b"0\n{}"])
async def test_a_marker_that_cannot_be_read_proves_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "data.db"
    epoch = await run(file, "a")
    (tmp_path / "data.db.marker").write_bytes(content)
    new = await run(file)
    assert new != epoch
    assert await run(file) == new


async def test_a_file_that_came_without_its_marker_begins_a_new_epoch(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    epoch = await run(file, "a")
    moved = copy(file, tmp_path / "moved", only=is_database)
    assert await run(moved) != epoch


async def test_a_folder_that_moved_with_all_that_is_in_it_is_that_history(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a")
    server.kill()
    moved = copy(file, tmp_path / "moved")
    assert await run(moved) == server.epoch
    assert await ids(moved) == {"a"}


async def test_a_snapshot_of_the_folder_is_new_history_where_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    epoch = await run(file, "a")
    snapshot = copy(file, tmp_path / "snapshot")
    async with opened(snapshot, new_epoch=True) as store:
        new = store.epoch
    assert new != epoch
    assert await run(snapshot) == new


def make_old(file: Path) -> None:
    """Make of a store what a version before marks left."""
    with sqlite3.connect(file) as database:
        database.execute("DELETE FROM meta WHERE name IN ('run', 'unlogged')")
    database.close()
    Path(f"{file}.marker").unlink()


async def test_a_store_of_a_version_before_marks_keeps_its_epoch(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    epoch = await run(file, "a")
    make_old(file)
    assert await run(file, "b") == epoch
    assert await run(file) == epoch


async def test_an_older_copy_from_before_marks_begins_a_new_epoch(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    epoch = await run(file, "a")
    make_old(file)
    backup = copy(file, tmp_path / "backup", only=is_database)
    assert await run(file, "b") == epoch
    restore(backup, file)
    assert await run(file) != epoch


def test_a_kill_at_any_call_loses_nothing_and_begins_no_epoch(tmp_path: Path) -> None:
    """From the first call of an opening to the last of a clean end: see `support/storage_lives.py`."""
    command = [sys.executable, "-m", "support.storage_lives", str(tmp_path / "data.db"), "3"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.split()
    kept = [word for word in told if word.startswith("i")]
    assert len(set(told) - set(kept)) == 1, "one epoch"
    assert len(told) - len(kept) > len(kept) + 5, "some died between their opening and their first write"
    with sqlite3.connect(tmp_path / "data.db") as database:
        held = {item_id for (item_id,) in database.execute("SELECT id FROM items")}
    database.close()
    assert held >= set(kept)


def copied(backup: Path, file: Path) -> None:
    shutil.copyfile(backup, file)


def moved(backup: Path, file: Path) -> None:
    backup.rename(file)


def removed_and_copied(backup: Path, file: Path) -> None:
    file.unlink()
    shutil.copyfile(backup, file)


WAYS = [copied, moved, removed_and_copied]
"""To put a backup in the place of a file whose log was left behind by a kill."""


def online(file: Path, backup: Path) -> None:
    live_backup(file, backup)


def vacuumed(file: Path, backup: Path) -> None:
    source = sqlite3.connect(file)
    source.execute("VACUUM INTO ?", (str(backup),))
    source.close()


@pytest.mark.parametrize("put", WAYS)
async def test_a_log_is_not_replayed_into_the_copy_of_an_earlier_run(
    tmp_path: Path, put: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "data.db"
    await run(file, "a")
    backup = copy(file, tmp_path / "backup", only=is_database)
    server = Running(file)
    server.write("b", "c")
    server.kill()
    put(backup, file)
    assert await run(file) != server.epoch
    assert await ids(file) == {"a"}
    aside = [path for path in tmp_path.iterdir() if path.name.startswith("data.db-wal.")]
    assert len(aside) == 1, "nothing is thrown away"
    assert aside[0].name in caplog.text


@pytest.mark.parametrize("put", WAYS)
@pytest.mark.parametrize("backed_up", [online, vacuumed])
async def test_a_log_is_not_replayed_into_a_copy_made_while_it_was_written(
    tmp_path: Path, put: Callable[[Path, Path], None], backed_up: Callable[[Path, Path], None]
) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a")
    backed_up(file, tmp_path / "backup.db")
    server.write("b", "c")
    server.kill()
    put(tmp_path / "backup.db", file)
    assert await run(file) != server.epoch
    assert await ids(file) == {"a"}


async def test_a_log_is_not_replayed_into_a_copy_from_before_it_began_anew(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a")
    live_backup(file, tmp_path / "backup.db")
    for pair in ("bc", "de"):
        begin_log_anew(file)
        server.write(*pair)
    server.kill()
    copied(tmp_path / "backup.db", file)
    assert await run(file) != server.epoch
    assert await ids(file) == {"a"}


def begin_log_anew(file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    other.close()


def copy_log_back(file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    other.close()


@pytest.mark.parametrize("anew", [begin_log_anew, copy_log_back])
@pytest.mark.parametrize("after", [(), ("b",), ("b", "c")], ids=len)
async def test_a_log_that_began_anew_is_still_the_files_own(
    tmp_path: Path, anew: Callable[[Path], None], after: tuple[str, ...]
) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a")
    anew(file)
    server.write(*after)
    server.kill()
    assert await run(file) == server.epoch
    assert await ids(file) == {"a", *after}


async def test_a_copy_of_file_and_log_together_is_whole(tmp_path: Path) -> None:
    """From a run before, and put where another log lay: the two belong to each other."""
    file = tmp_path / "data.db"
    first = Running(file)
    first.write("a")
    first.kill()
    backup = copy(file, tmp_path / "backup", only=lambda part: part.suffix != ".marker")
    second = Running(file)
    second.write("b")
    second.kill()
    copied(backup, file)
    copied(Path(f"{backup}-wal"), Path(f"{file}-wal"))
    assert await run(file) not in {first.epoch, second.epoch}
    assert await ids(file) == {"a"}


async def test_a_log_of_a_version_before_links_is_replayed(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    server = Running(file)
    server.write("a")
    server.kill()
    with sqlite3.connect(file) as database:
        database.execute("DELETE FROM meta WHERE name IN ('run', 'unlogged', 'links')")
    Path(f"{file}.marker").unlink()
    old = "import sqlite3, sys, os; db = sqlite3.connect(sys.argv[1])\n"
    old += "db.execute('UPDATE items SET data = ?', (b'new',)); db.commit(); os.kill(os.getpid(), 9)"
    database.close()
    subprocess.run([sys.executable, "-c", old, str(file)], check=False)
    assert Path(f"{file}-wal").stat().st_size > 0
    async with opened(file) as store:
        item = await store.get(G, "a")
        assert item is not None
        assert item.data == b"new"
        assert store.epoch == server.epoch
