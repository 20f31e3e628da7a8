"""A setting names a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headwater.config import Settings
from headwater.errors import ConfigError
from headwater.model import GroupKey, Write
from headwater.storage.memory import MemoryStore
from headwater.storage.open import open_store
from headwater.storage.sqlite import SqliteStore


def settings(project: Path, url: str | None = None) -> Settings:
    made = Settings(project=project)
    return made if url is None else replace(made, storage=replace(made.storage, url=url))


async def test_the_default_is_a_file_in_the_project(tmp_path: Path) -> None:
    store = await open_store(settings(tmp_path))
    await store.commit([Write(GroupKey("s", "g"), "a", "set", b"{}")], stamp=1.0)
    await store.close()
    assert (tmp_path / ".headwater" / "data.db").stat().st_size > 0


async def test_a_path_is_relative_to_the_project_or_absolute(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    for url, file in (
        ("sqlite:state/my.db", tmp_path / "project" / "state" / "my.db"),
        (f"sqlite:{tmp_path}/elsewhere/x.db", tmp_path / "elsewhere" / "x.db"),
    ):
        store = await open_store(settings(tmp_path / "project", url))
        assert isinstance(store, SqliteStore)
        await store.close()
        assert file.exists()


async def test_memory_needs_no_file(tmp_path: Path) -> None:
    store = await open_store(settings(tmp_path, "memory:"))
    assert isinstance(store, MemoryStore)
    await store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["redis://localhost", "data.db", "", "SQLITE:x", "postgres:x", ":memory:"])
async def test_an_unknown_scheme_is_told_the_known_ones(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await open_store(settings(tmp_path, url))
    assert '"sqlite:", "memory:"' in caught.value.message
    assert repr(url) in caught.value.message
    assert caught.value.details["setting"] == "storage.url"


@pytest.mark.parametrize("url", ["sqlite:", "memory:x"])
async def test_a_scheme_with_the_wrong_rest_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError):
        await open_store(settings(tmp_path, url))
