"""The lifespans of a project's workers, as the runtime starts and ends them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headwater.errors import WorkerLost
from support.node_worker import node_worker
from support.steps_project import Site, api, serving

NOTES = """
    import asyncio, os
    async def lifespan():
        with open("entered", "a") as notes:
            notes.write(f"{os.getpid()} ")
        yield os.getpid()
        await asyncio.sleep(0)
        with open("left", "a") as notes:
            notes.write(f"{os.getpid()} ")
"""
PIDS = api("/pids", "return {'status': 200, 'body': {'pid': os.getpid(), 'app': ctx.app}}", top="import os")
HOLD = """
while not os.path.exists("gate"):
    time.sleep(0.01)
return {"status": 200, "body": {"pid": os.getpid(), "app": ctx.app}}
"""
NODE_NOTES = """
import { appendFileSync } from 'node:fs'
export async function* lifespan() {
  appendFileSync('entered', `${process.pid} `)
  const pool = setInterval(() => undefined, 10)
  yield process.pid
  clearInterval(pool)
  appendFileSync('left', `${process.pid} `)
}
"""
NODE_PIDS = """
export const config = { type: 'api', name: 'pids', path: '/pids', method: 'POST', emits: [] }
export const handler = async (req, ctx) => ({ status: 200, body: { pid: process.pid, app: ctx.app } })
"""


def noted(site: Site, name: str) -> set[str]:
    """The processes that have entered or left theirs."""
    file = site.root / name
    return set(file.read_text().split()) if file.exists() else set()


def dedent(source: str) -> str:
    return source.replace("\n    ", "\n")


LANGUAGES = {
    "python": {"headwater_lifespan.py": dedent(NOTES), "steps/a_step.py": PIDS},
    "node": {"headwater_lifespan.ts": NODE_NOTES, "steps/a.step.ts": NODE_PIDS},
}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_reload_and_an_end_leave_what_was_entered(tmp_path: Path, language: str) -> None:
    if language == "node":
        node_worker()
    files = LANGUAGES[language]
    async with serving(tmp_path, files) as site:
        first = await site.json("/pids", {})
        assert first["app"] == first["pid"]
        site.write({name: f"{text}\n" for name, text in files.items()})
        await site.runtime.reload()
        second = await site.json("/pids", {})
        assert second["app"] == second["pid"] != first["pid"]
        async with asyncio.timeout(20):
            while str(first["pid"]) not in noted(site, "left"):
                await asyncio.sleep(0.01)
    assert noted(site, "left") == noted(site, "entered") == {str(first["pid"]), str(second["pid"])}


async def test_the_process_of_a_step_that_blocks_enters_its_own(tmp_path: Path) -> None:
    files = {**LANGUAGES["python"], "steps/hold_step.py": api("/hold", HOLD, top="import os, time")}
    async with serving(tmp_path, files) as site:
        holding = [asyncio.create_task(site.json("/hold", {})) for _ in range(2)]
        async with asyncio.timeout(30):
            while len(noted(site, "entered")) < 2:
                await asyncio.sleep(0.01)
        (tmp_path / "gate").touch()
        answers = await asyncio.gather(*holding)
        assert len({answer["pid"] for answer in answers}) == 2
        assert all(answer["app"] == answer["pid"] for answer in answers)
    assert noted(site, "left") == noted(site, "entered")


NODE_ENDS = """
export async function* lifespan() {
  process.kill(process.pid, 9)
  yield 1
}
"""
ENDS = {
    "python": (
        "headwater_lifespan.py",
        {
            "headwater_lifespan.py": "import os\n\nasync def lifespan():\n    os._exit(3)\n    yield 1\n",
            "steps/a_step.py": PIDS,
        },
    ),
    "node": (
        "headwater_lifespan.ts",
        {
            "headwater_lifespan.ts": NODE_ENDS,
            "steps/a.step.ts": NODE_PIDS,
        },
    ),
}


@pytest.mark.parametrize("language", ENDS)
async def test_one_that_ends_its_process_is_named(
    tmp_path: Path, language: str, caplog: pytest.LogCaptureFixture
) -> None:
    if language == "node":
        node_worker()
    file, files = ENDS[language]
    async with serving(tmp_path, files) as site:
        with pytest.raises(WorkerLost, match=file):
            await site.post("/pids", {})
    assert f"{file} ended its process" in caplog.text
