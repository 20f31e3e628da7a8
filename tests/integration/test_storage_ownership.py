"""A file is one server's, by whatever name it is reached; what is done to it under that server is noticed."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest

from headwater.errors import StoreUnavailable
from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore
from support.storage_places import python

G = GroupKey("room", "general")
HOLD = """
import asyncio, sys
from pathlib import Path
from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore
async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    print("open", flush=True)
    for line in sys.stdin:
        try:
            await store.commit([Write(GroupKey("room", "general"), line.strip(), "set", b"{}")], stamp=1.0)
            print("kept", flush=True)
        except Exception as error:
            print(error, flush=True)
asyncio.run(main())
"""


class Holder:
    """Another process that holds a store."""

    def __init__(self, file: Path) -> None:
        self._process = python(HOLD, file)
        assert self.says() == "open"

    def says(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def write(self, item_id: str) -> str:
        """What became of a write: "kept", or the error."""
        assert self._process.stdin
        self._process.stdin.write(f"{item_id}\n")
        self._process.stdin.flush()
        return self.says()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


async def refusal(file: Path) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await SqliteStore.open(file)
    return f"{caught.value.message} {caught.value.hint}"


async def held(file: Path) -> set[str]:
    store = await SqliteStore.open(file)
    page = await store.read(G, after=0, limit_bytes=1 << 20)
    await store.close()
    return {item.id for item in page.items}


async def test_no_other_name_leads_a_second_process_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file = tmp_path / "real" / "data.db"
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "link.db").symlink_to(file)
    holder = Holder(file)
    try:
        (tmp_path / "hard.db").hardlink_to(file)
        for name in ("folder/data.db", "link.db", "hard.db"):
            assert "in use by" in await refusal(tmp_path / name)
        Path(f"{file}.lock").unlink()
        for name in ("real/data.db", "link.db"):
            assert "in use by another process" in await refusal(tmp_path / name)
        assert holder.write("a") == "kept"
    finally:
        holder.kill()
    (tmp_path / "hard.db").unlink()
    assert await held(tmp_path / "link.db") == {"a"}


async def test_a_file_of_two_names_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    await held(file)
    (tmp_path / "backup.db").hardlink_to(file)
    assert "2 names (hard links)" in await refusal(file)
    assert "real copy" in await refusal(tmp_path / "backup.db")


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_log_that_goes_under_the_server_loses_nothing(tmp_path: Path, replaced: bool) -> None:
    file = tmp_path / "data.db"
    holder = Holder(file)
    assert holder.write("a") == "kept"
    Path(f"{file}-wal").unlink()
    if replaced:
        Path(f"{file}-wal").write_bytes(b"")
    told = holder.write("b")
    assert "data.db-wal was removed or replaced" in told
    assert "everything acknowledged is in" in told
    assert holder.write("c") == told
    holder.kill()
    assert await held(file) == {"a"}


async def test_a_log_that_goes_is_noticed_without_a_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "data.db"
    store = await SqliteStore.open(file)
    await store.commit([Write(G, "a", "set", b"{}")], stamp=1.0)
    Path(f"{file}-wal").unlink()
    async with asyncio.timeout(60):
        while not caplog.records:
            await asyncio.sleep(0.05)
    assert "Writes are refused" in caplog.text
    shutil.copyfile(file, tmp_path / "copy.db")
    with pytest.raises(StoreUnavailable):
        await store.close()
    assert await held(tmp_path / "copy.db") == {"a"}


async def test_a_file_that_was_replaced_is_told_once_and_never_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, other = tmp_path / "data.db", tmp_path / "other.db"
    await held(other)
    content = other.read_bytes()
    store = await SqliteStore.open(file)
    other.rename(file)
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            await store.commit([Write(G, "a", "set", b"{}")], stamp=1.0)
        assert "stop the server, put the copy there, start the server" in caught.value.hint
    with pytest.raises(StoreUnavailable):
        await store.close()
    assert file.read_bytes() == content
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


async def test_a_file_that_is_overwritten_is_noticed_and_not_mixed_with_the_log(tmp_path: Path) -> None:
    file, backup = tmp_path / "data.db", tmp_path / "backup.db"
    store = await SqliteStore.open(backup)
    await store.commit([Write(G, "old", "set", b"{}")], stamp=1.0)
    await store.close()
    shutil.copyfile(backup, file)
    holder = Holder(file)
    assert holder.write("a") == "kept"
    shutil.copyfile(backup, file)
    async with asyncio.timeout(60):
        while (told := holder.write("b")) == "kept":
            await asyncio.sleep(0.05)
    assert "was overwritten while the server used it" in told
    assert file.read_bytes() == backup.read_bytes()
    holder.kill()
    assert await held(file) == {"old"}


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}


async def test_what_is_stored_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = tmp_path / ".headwater"
        store = await SqliteStore.open(folder / "data.db")
        await store.commit([Write(G, "a", "set", b"{}")], stamp=1.0)
        found = modes(folder)
        assert found.pop(".headwater") == 0o700
        assert found == dict.fromkeys(
            ("data.db", "data.db-wal", "data.db-shm", "data.db.lock", "data.db.marker"), 0o600
        )
        await store.close()
        for path in (folder, *folder.iterdir()):
            path.chmod(0o777 if path.is_dir() else 0o666)
        await held(folder / "data.db")
        found = modes(folder)
        assert found.pop(".headwater") == 0o700
        assert set(found.values()) == {0o600}
    finally:
        os.umask(before)


async def test_a_shared_folder_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    await held(folder / "data.db")
    assert modes(folder)["shared"] == 0o755
    assert modes(folder)["data.db"] == 0o600
