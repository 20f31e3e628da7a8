"""What TypeScript and JavaScript steps do to a whole server with a real Node, a server for each test.
What they answer is in `test_node_answers.py`."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from support.node_site import NodeSite, logged, node_site, step
from support.node_worker import LINES, marks, node_of, node_worker


@pytest.fixture(autouse=True)
def _needs_node() -> None:
    node_worker()


def problems(site: NodeSite) -> list[tuple[str, str, str]]:
    return [(one.level, one.code, one.message) for one in site.server.project.problems]


# --- bodies ---


@pytest.mark.parametrize("line", [pytest.param(line, marks=marks(line)) for line in LINES])
async def test_a_body_and_an_item_of_many_megabytes_pass(tmp_path: Path, line: int) -> None:
    body = "const item = await ctx.streams.notes.set('g', '1', req.body); return { status: 200, body: item }"
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}, node=node_of(line)) as site:
        text = "é" * 10_000_000
        assert (await site.post("/a", {"text": text})).json() == {"id": "1", "text": text}


# --- errors ---


async def test_a_process_that_runs_out_of_memory_says_so_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--max-old-space-size=64")
    fill = "const all = []\nwhile (req.body.fill) all.push(new Array(1e5).fill(0.5))\n"
    body = fill + "return { status: 204 }"
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        lost = await site.post("/a", {"fill": True})
        assert (lost.status_code, lost.json()["code"]) == (502, "WORKER_LOST")
        assert "heap out of memory" in lost.json()["detail"]
        assert (await site.post("/a")).status_code == 204


# --- cancelling ---


async def test_a_caller_who_leaves_is_told_by_the_signal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = """
        ctx.signal.addEventListener('abort', () => ctx.logger.info('left alone'))
        ctx.logger.info('begun')
        await new Promise((_, stop) => ctx.signal.addEventListener('abort', () => stop(ctx.signal.reason)))"""
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        waiting = asyncio.create_task(site.post("/a"))
        await logged(caplog, "begun")
        waiting.cancel()
        await logged(caplog, "left alone")


@pytest.mark.parametrize("forever", ["while (true) {}", "execFileSync('sleep', ['5'])"])
async def test_a_thread_that_goes_on_after_it_was_cancelled_is_ended_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, forever: str
) -> None:
    caplog.set_level(logging.INFO)
    body = f"""
        const until = Date.now() + 300
        while (Date.now() < until) {{}}
        ctx.logger.info('begun')
        if (req.body.forever) {forever}
        return {{ status: 200, body: String(process.pid) }}"""
    files = {
        "steps/a.step.ts": step("/a", body, top="import { execFileSync } from 'node:child_process'"),
        "steps/b.step.ts": step(
            "/b", "await new Promise((wake) => setTimeout(wake, 3000)); return { status: 204 }"
        ),
    }
    async with node_site(tmp_path, files) as site:
        pool = site.server.runtime._current.pools["node"]  # pyright: ignore
        await site.post("/a")
        assert pool.blocking == {"steps/a.step.ts"}
        caplog.clear()
        waiting = asyncio.create_task(site.post("/a", {"forever": True}))
        await logged(caplog, "begun")
        (worker,) = [one for one in pool.workers if one.running]
        other = asyncio.create_task(site.post("/b"))
        waiting.cancel()
        record = await logged(caplog, "went on for 2 s after it was cancelled")
        assert (record.levelname, record.step) == ("WARNING", "a")
        assert (await other).status_code == 204
        assert (await site.post("/a")).status_code == 200
        assert worker in pool.workers


# --- packages, schemas, files ---


async def test_every_format_of_zod_is_a_schema_that_the_server_takes(tmp_path: Path) -> None:
    formats = (
        "email uuid guid url emoji nanoid cuid cuid2 ulid xid ksuid ipv4 ipv6 cidrv4 cidrv6 base64 base64url "
        "e164 jwt"
    )
    fields = "".join(f"{name}: z.{name}().optional(), " for name in formats.split())
    times = "d: z.iso.datetime(), a: z.iso.date(), t: z.iso.time(), u: z.iso.duration()"
    schema = f"z.object({{ {fields} {times}, l: z.string().regex(/a(?!b)/) }})"
    stream = f"import {{ z }} from 'zod'\nexport const config = {{ name: 's', schema: {schema} }}"
    async with node_site(tmp_path, {"steps/s.stream.ts": stream}) as site:
        assert problems(site) == []


async def test_a_part_of_a_schema_that_json_cannot_say_is_a_warning_and_anything_passes(
    tmp_path: Path,
) -> None:
    stream = (
        "import { z } from 'zod'\nexport const config = { name: 's', schema: z.object({ at: z.date() }) }"
    )
    body = "return { status: 200, body: await ctx.streams.s.set('g', '1', { at: new Date(0) }) }"
    async with node_site(
        tmp_path, {"steps/s.stream.ts": stream, "steps/a.step.ts": step("/a", body)}
    ) as site:
        ((level, code, message),) = problems(site)
        assert (level, code) == ("warning", "SCHEMA_NOT_CONVERTIBLE")
        assert "at: z.date() has no JSON Schema" in message
        assert (await site.post("/a")).json() == {"id": "1", "at": "1970-01-01T00:00:00.000Z"}


# --- reload ---


async def test_a_reload_leaves_sockets_open(tmp_path: Path) -> None:
    def says(text: str) -> str:
        return step(
            "/a",
            f"return {{ status: 200, body: await ctx.streams.notes.set('g', '1', {{ text: '{text}' }}) }}",
        )

    join = {"type": "join", "data": {"streamName": "notes", "groupId": "g", "subscriptionId": "1"}}
    async with (
        node_site(tmp_path, {"steps/a.step.ts": says("one")}) as site,
        connect(site.server.url.replace("http", "ws")) as page,
    ):
        await page.send(json.dumps(join))
        assert json.loads(await page.recv())["event"]["type"] == "sync"
        await site.post("/a")
        assert json.loads(await page.recv())["event"]["data"]["text"] == "one"
        site.write({"steps/a.step.ts": says("two")})
        async with asyncio.timeout(60):
            while (await site.post("/a")).json()["text"] != "two":
                pass
        frames = [json.loads(await page.recv())["event"]["data"]["text"]]
        while frames[-1] != "two":
            frames.append(json.loads(await page.recv())["event"]["data"]["text"])
        assert set(frames) <= {"one", "two"}


async def test_a_change_of_the_tsconfig_is_a_reload(tmp_path: Path) -> None:
    files = {
        "steps/a.step.ts": step(
            "/a", "return { status: 200, body: word }", top="import { word } from '@/word'"
        ),
        "lib/one/word.ts": "export const word = 'one'",
        "lib/two/word.ts": "export const word = 'two'",
        "tsconfig.json": '{"compilerOptions": {"paths": {"@/*": ["./lib/one/*"]}}}',
    }
    async with node_site(tmp_path, files) as site:
        assert (await site.post("/a")).text == "one"
        site.write({"tsconfig.json": files["tsconfig.json"].replace("one", "two")})
        async with asyncio.timeout(60):
            while (await site.post("/a")).text != "two":
                await asyncio.sleep(0.05)
