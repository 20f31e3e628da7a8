"""Tasks and threads that outlive their response: no saved file and no retiring worker ends them at once, and
what must be ended is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headwater.config import Settings
from headwater.steps.workers.sizes import Size
from support.steps_project import Site, api, serving, stream

LEAVE = """
async def work():
    while not os.path.exists("gate"):
        await asyncio.sleep(0.01)
    await ctx.streams.chat.set("late", req["body"]["id"], {"text": req["body"]["id"]})
kept.append(asyncio.create_task(work()))
return {"status": 202, "body": {"pid": os.getpid()}}
"""
FILES = {
    "steps/chat_stream.py": stream("chat"),
    "steps/leave_step.py": api("/leave", LEAVE, top="import asyncio, os\nkept = []"),
}


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Wait for what no event tells: the state of other processes."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def change(site: Site, number: int) -> None:
    """A file is saved."""
    site.write({"steps/other_step.py": api("/other", f"return {{'status': 200, 'body': {number}}}")})
    await site.runtime.reload()
    assert await site.json("/other", {}) == number


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (vars(record)["step"], record.message)
        for record in caplog.records
        if "was ended with its worker" in record.message
    ]


async def test_a_task_survives_saved_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, FILES, size=1, max_size=1) as site:
        await site.post("/leave", {"id": "a"})
        first = site.pool
        for number in range(3):
            await change(site, number)
        assert len(first.workers) == 1
        (tmp_path / "gate").touch()
        await site.streams.until(lambda: site.streams.texts("late") == ["a"])
        await until(lambda: not first.workers)
    assert told(caplog) == []


async def test_a_task_that_goes_on_for_too_long_is_told_with_step_and_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, FILES, size=1, max_size=1, linger_timeout=0.2) as site:
        await site.post("/leave", {"id": "a"})
        first = site.pool
        await change(site, 1)
        await until(lambda: not first.workers)
    ((step, text),) = told(caplog)
    said, _, line = text.rpartition(":")
    assert step == "leave"
    assert (
        said == "A task that went on after its invocation was ended with its worker, at steps/leave_step.py"
    )
    assert line in {"8", "9"}, "it looks or it sleeps"


async def test_tasks_survive_when_their_workers_are_no_longer_needed(tmp_path: Path) -> None:
    async with serving(tmp_path, FILES, size=3, max_size=3) as site:
        await until(lambda: len(site.pool.workers) == 3)
        pids: set[int] = set()
        posted = 0
        while len(pids) < 3:
            answers = [asyncio.create_task(site.json("/leave", {"id": f"{posted}{n}"})) for n in range(3)]
            pids |= {answer["pid"] for answer in await asyncio.gather(*answers)}
            posted += 1
        site.pool._usual.size = Size(1, 1)
        site.pool._crew._shrink()
        assert len(site.pool._crew.ready()) == 1
        (tmp_path / "gate").touch()
        await site.streams.until(lambda: len(site.streams.texts("late")) == 3 * posted)
        await until(lambda: len(site.pool.workers) == 1)


async def test_the_end_of_the_server_waits_for_tasks_as_for_requests(tmp_path: Path) -> None:
    async with serving(tmp_path, FILES, size=1, max_size=1) as site:
        await site.post("/leave", {"id": "a"})
        closing = asyncio.create_task(site.runtime.close())
        await until(lambda: all(worker.draining for worker in site.pool.workers))
        (tmp_path / "gate").touch()
        await closing
        assert site.streams.texts("late") == ["a"]


async def test_what_outlives_the_end_of_the_server_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(project=tmp_path)
    async with serving(tmp_path, FILES, settings=settings, size=1, max_size=1) as site:
        await site.post("/leave", {"id": "a"})
    assert [step for step, _ in told(caplog)] == ["leave"]


async def test_of_very_many_generations_that_linger_the_oldest_ends_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.steps.runtime.MOST_ENDING", 1)
    monkeypatch.setattr("headwater.steps.runtime.MOST_LEFT", 1)
    async with serving(tmp_path, FILES, size=1, max_size=1) as site:
        pools = []
        for number in range(2):
            await site.post("/leave", {"id": str(number)})
            pools.append(site.pool)
            await change(site, number)
        await until(lambda: not pools[0].workers)
        assert [step for step, _ in told(caplog)] == ["leave"]
        assert pools[1].workers
        (tmp_path / "gate").touch()
        await site.streams.until(lambda: site.streams.texts("late") == ["1"])
