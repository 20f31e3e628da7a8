"""Files of older versions are brought up to date, whole or not at all; newer ones are refused."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from headwater.errors import StoreUnavailable
from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore, schema

G = GroupKey("room", "general")


async def make(file: Path) -> None:
    store = await SqliteStore.open(file)
    await store.commit([Write(G, "a", "set", b"1")], stamp=1000.0)
    await store.close()


def ask(file: Path, sql: str) -> object:
    db = apsw.Connection(str(file))
    try:
        return db.execute(sql).get
    finally:
        db.close()


async def holds(file: Path) -> bytes:
    store = await SqliteStore.open(file)
    item = await store.get(G, "a")
    await store.close()
    assert item is not None
    return item.data


async def test_a_file_is_marked_as_ours_with_its_schema(tmp_path: Path) -> None:
    await make(tmp_path / "data.db")
    assert ask(tmp_path / "data.db", "PRAGMA application_id") == schema.APPLICATION_ID
    assert ask(tmp_path / "data.db", "PRAGMA user_version") == len(schema.MIGRATIONS)
    assert ask(tmp_path / "data.db", "PRAGMA journal_mode") == "wal"


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    await make(file)
    ask(file, "PRAGMA user_version=99")
    with pytest.raises(StoreUnavailable) as caught:
        await SqliteStore.open(file)
    assert "schema 99" in caught.value.message
    assert str(file) in caught.value.message
    assert "newer" in caught.value.hint
    ask(file, f"PRAGMA user_version={len(schema.MIGRATIONS)}")
    assert await holds(file) == b"1"


async def test_the_first_schema_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.db"
    db = apsw.Connection(str(file))
    db.execute("PRAGMA journal_mode=wal").fetchall()
    db.execute(schema.MIGRATIONS[0])
    db.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version=1")
    db.execute(
        "INSERT INTO groups VALUES (1, 'room', 'general', 1, 0, 1, 1, 0);"
        "INSERT INTO items (gid, created, version, id, data) VALUES (1, 1, 1, 'a', x'31');"
        "INSERT INTO log VALUES (1, 1, 1, 1, 0, 1, 1000.0);"
        "UPDATE meta SET value = 'an epoch' WHERE name = 'epoch';"
        "UPDATE meta SET value = 1 WHERE name = 'settled';"
    )
    db.close()
    store = await SqliteStore.open(file)
    assert (store.epoch, store.stamp) == ("an epoch", 1000.0)
    await store.close()
    assert await holds(file) == b"1"
    assert ask(file, "PRAGMA user_version") == len(schema.MIGRATIONS)


async def test_a_migration_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.db"
    await make(file)
    more = (*schema.MIGRATIONS, "CREATE TABLE extra (x); INSERT INTO extra VALUES (1);")
    monkeypatch.setattr(schema, "MIGRATIONS", more)
    for _ in range(2):
        assert await holds(file) == b"1"
        assert ask(file, "SELECT count(*) FROM extra") == 1
    assert ask(file, "PRAGMA user_version") == len(more)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.db"
    await make(file)
    with monkeypatch.context() as patch:
        broken = (*schema.MIGRATIONS, "CREATE TABLE extra (x);", "INSERT INTO nowhere VALUES (1);")
        patch.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(StoreUnavailable) as caught:
            await SqliteStore.open(file)
        assert str(file) in caught.value.message
    assert ask(file, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'") == 0
    assert await holds(file) == b"1"
