"""The server's work in the background goes on, whatever it meets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import headwater.lifetime
import headwater.streams.expiry
import headwater.tasks
import headwater.work.work
from headwater.config import ServerSettings, Settings, StorageSettings
from headwater.lifetime import running
from headwater.logline import line_of

LOOKS = {"looking for cron", "looking for jobs", "looking for steps that are gone"}
WORK = {"expiry", "keepalive", "sweep", "sweep of fleeting streams", "stamps", *LOOKS}


def settings(folder: Path) -> Settings:
    return Settings(folder, server=ServerSettings(port=0), storage=StorageSettings(url="memory:"))


async def test_all_work_is_supervised_and_ends_with_the_server(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as server:
        assert {task.name for task in server.tasks.tasks} >= WORK
        assert {task.state for task in server.tasks.tasks} == {"running"}
    assert server.tasks.tasks == ()


async def test_expiry_and_sweeping_outlive_an_unexpected_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headwater.streams.expiry, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(headwater.lifetime, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(headwater.tasks, "FIRST_WAIT", 0.01)
    async with running(settings(tmp_path)) as server:
        again = {name: _fails_once(server.store, name, monkeypatch) for name in ("due", "sweep")}
        async with asyncio.timeout(20):
            for name in again:
                await again[name].wait()
        failed = {task.name: task.failures for task in server.tasks.tasks if task.failures}
        assert failed == {"expiry": 1, "sweep": 1}


async def test_what_waits_for_a_time_is_looked_for_again_after_an_unexpected_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headwater.work.work, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(headwater.tasks, "FIRST_WAIT", 0.01)
    again, looked = asyncio.Event(), list[None]()

    def look() -> None:
        looked.append(None)
        if len(looked) == 1:
            raise RuntimeError("odd")
        again.set()

    async with running(settings(tmp_path)) as server:
        server.tasks.start("a look", lambda: headwater.work.work.keep_looking(look))
        async with asyncio.timeout(20):
            await again.wait()
        failed = {task.name: task.failures for task in server.tasks.tasks if task.failures}
        assert failed == {"a look": 1}


def _fails_once(store: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let a verb of the store fail as nobody expects; answers what is set once it is called again."""
    real, again = getattr(store, name), asyncio.Event()
    calls: list[None] = []

    async def verb(**arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 1:
            raise RuntimeError("odd")
        again.set()
        return await real(**arguments)

    monkeypatch.setattr(store, name, verb)
    return again


async def test_a_limit_that_is_met_is_told_in_the_log_by_its_setting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(settings(tmp_path)) as server:
        server.observers.limited("socket.max_subscriptions", 1000)
        server.observers.limited("streams.rings_bytes", 1000)
    [told] = [record for record in caplog.records if record.name == "headwater.limits"]
    assert told.getMessage() == "A limit was met: [socket] max_subscriptions, which is 1000"
    assert line_of(told).flood == "limit socket.max_subscriptions"
