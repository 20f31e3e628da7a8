"""What TypeScript and JavaScript steps do, on a whole server with a real Node."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from support.node_site import NodeSite, node_site, step
from support.node_worker import LINES, marks, node_of, node_worker


@pytest.fixture(autouse=True)
def _needs_node() -> None:
    node_worker()


def problems(site: NodeSite) -> list[tuple[str, str, str]]:
    return [(one.level, one.code, one.message) for one in site.server.project.problems]


def user_lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "headwater.user"]


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> Any:
    """The line of user code that holds the text, once it is there."""
    async with asyncio.timeout(60):
        while True:
            for record in user_lines(caplog):
                if text in record.getMessage():
                    return record
            await asyncio.sleep(0.01)


# --- requests and responses ---


async def test_bytes_come_in_and_go_out_as_buffers(tmp_path: Path) -> None:
    body = "return { status: 200, body: Buffer.concat([req.rawBody, Buffer.from([255])]) }"
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        sent = bytes(range(256))
        answer = await site.client.post(
            "/a", content=sent, headers={"content-type": "application/octet-stream"}
        )
        assert answer.content == sent + b"\xff"


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ("new Uint8Array([1, 2, 3]).subarray(1)", b"\x02\x03"),
        ("new Uint8Array([1, 2]).buffer", b"\x01\x02"),
        ("null", b"null"),
        ("undefined", b""),
        ("new Date(0)", b'"1970-01-01T00:00:00.000Z"'),
        ("{ n: 12345678901234567890n }", b'{"n":12345678901234567890}'),
        ("new Map([['a', new Set([1])]])", b'{"a":[1]}'),
    ],
)
async def test_bodies_of_every_kind_are_sent(tmp_path: Path, body: str, content: bytes) -> None:
    source = step("/a", f"return {{ status: 200, body: {body} }}")
    async with node_site(tmp_path, {"steps/a.step.ts": source}) as site:
        answer = await site.post("/a")
        assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.parametrize(
    ("headers", "cookies"),
    [
        ("{ 'set-cookie': ['a=1', 'b=2'], 'x-n': 5, 'x-no': undefined }", ["a=1", "b=2"]),
        ("new Headers([['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-n', '5']])", ["a=1", "b=2"]),
        ("new Map<string, any>([['set-cookie', ['a=1', 'b=2']], ['x-n', 5]])", ["a=1", "b=2"]),
    ],
)
async def test_a_header_may_have_several_values(tmp_path: Path, headers: str, cookies: list[str]) -> None:
    source = step("/a", f"return {{ status: 200, headers: {headers} }}")
    async with node_site(tmp_path, {"steps/a.step.ts": source}) as site:
        answer = await site.post("/a")
        assert answer.headers.get_list("set-cookie") == cookies
        assert answer.headers["x-n"] == "5"


@pytest.mark.parametrize("line", [pytest.param(line, marks=marks(line)) for line in LINES])
async def test_a_body_and_an_item_of_many_megabytes_pass(tmp_path: Path, line: int) -> None:
    body = "const item = await ctx.streams.notes.set('g', '1', req.body); return { status: 200, body: item }"
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}, node=node_of(line)) as site:
        text = "é" * 10_000_000
        assert (await site.post("/a", {"text": text})).json() == {"id": "1", "text": text}


async def test_middleware_of_another_file_answers_and_passes_on(tmp_path: Path) -> None:
    lib = """
        import { ApiMiddleware } from 'motia'
        export const auth: ApiMiddleware = async (req, ctx, next) => {
          if (!req.headers.authorization) return { status: 401, body: { error: 'who?' } }
          req.user = { name: req.headers.authorization }
          const response = await next()
          return { ...response, headers: { 'x-step': ctx.stepName } }
        }"""
    a = step(
        "/a",
        "return { status: 200, body: req.user.name }",
        top="import { auth } from '../lib/auth'",
        config="middleware: [auth]",
    )
    async with node_site(tmp_path, {"steps/a.step.ts": a, "lib/auth.ts": lib}) as site:
        assert (await site.post("/a")).status_code == 401
        answer = await site.client.post("/a", headers={"authorization": "ada"}, json={})
        assert (answer.text, answer.headers["x-step"]) == ("ada", "a")


# --- streams ---


async def test_errors_of_streams_have_codes_and_name_the_fields(tmp_path: Path) -> None:
    stream = "export const config = { name: 'strict', schema: z.object({ n: z.number() }) }"
    body = """
        const code = (work) => work.then(() => null, (error) => [error instanceof HeadwaterError, error.code])
        const first = await ctx.streams.strict.set('g', '1', { n: 1 })
        const codes = [
          await code(ctx.streams.strict.set('g', '1', { n: 2 }, { ifVersion: 0 })),
          await code(ctx.streams.strict.set('g', '1', { n: 'two' })),
          await code(ctx.streams.strict.set('', '1', { n: 2 })),
          await code(ctx.streams.strict.set(null, '1', { n: 2 })),
          await code(ctx.streams.strict.set('g', '1', { n: 2 }, { ifVersion: first.version })),
        ]
        const faults = await ctx.streams.strict.set('g', '1', { n: 'x' }).catch((error) => error.faults)
        return { status: 200, body: { codes, faults } }"""
    files = {
        "steps/strict.stream.ts": "import { z } from 'zod'\n" + stream,
        "steps/a.step.ts": step("/a", body, top="import { HeadwaterError } from 'headwater'"),
    }
    async with node_site(tmp_path, files) as site:
        answer = (await site.post("/a")).json()
        assert answer["codes"] == [
            [True, "CONFLICT"],
            [True, "SCHEMA_MISMATCH"],
            [True, "INVALID_INPUT"],
            [True, "INVALID_INPUT"],
            None,
        ]
        assert answer["faults"][0]["field"] == "n"


async def test_an_item_can_be_changed_and_set_again(tmp_path: Path) -> None:
    body = """
        await ctx.streams.notes.set('g', '1', { n: 1, list: [1] })
        const item = await ctx.streams.notes.get('g', '1')
        const seen = [item.version, Object.keys(item).sort(), structuredClone(item)]
        item.n += 1
        item.list.push(2)
        item.version = 'mine'
        const after = await ctx.streams.notes.set('g', '1', item)
        return { status: 200, body: { seen, after, all: await ctx.streams.notes.getGroup('g') } }"""
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        answer = await site.post("/a")
        item = {"id": "1", "n": 2, "list": [1, 2], "version": "mine"}
        assert answer.json() == {
            "seen": [1, ["id", "list", "n"], {"id": "1", "n": 1, "list": [1]}],
            "after": item,
            "all": [item],
        }
        assert answer.headers["x-headwater-items"] == "notes/g/1@2, notes/g/1@2"


async def test_methods_may_be_taken_off_a_stream(tmp_path: Path) -> None:
    body = """
        const { set, getGroup } = ctx.streams.notes
        set('g', '1', { a: 1 })
        return { status: 200, body: await getGroup('g') }"""
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        assert (await site.post("/a")).json() == [{"id": "1", "a": 1}]


async def test_a_failed_call_that_nobody_awaits_is_logged_with_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = "ctx.streams.notes.set('g', '1', { at: () => 1 })\nreturn { status: 200, body: 'fine' }"
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        assert (await site.post("/a")).text == "fine"
        record = await logged(caplog, "nobody awaited")
        assert "steps/a.step.ts:4" in record.getMessage()
        assert (record.fields["code"], record.step) == ("INVALID_INPUT", "a")


async def test_an_access_function_decides_who_may_subscribe(tmp_path: Path) -> None:
    closed = (
        "import { StreamConfig } from 'headwater'\n"
        "export const config: StreamConfig = { name: 'closed', schema: null,\n"
        "  canAccess: async ({ groupId, id }) => groupId === 'open' && id === undefined }\n"
    )
    async with node_site(tmp_path, {"steps/closed.stream.ts": closed}) as site:
        runtime = site.server.runtime
        assert await runtime.access("closed", "open", None, None) is True
        assert await runtime.access("closed", "open", "1", None) is False
        assert await runtime.access("closed", "shut", None, None) is False


# --- logs and errors ---


async def test_console_lines_carry_step_and_trace_wherever_they_are_printed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = """
        console.log('at %s', 'once', { a: 1 })
        await new Promise((wake) => setTimeout(() => { console.warn('in a timer'); wake() }, 5))
        setTimeout(() => console.error('after the answer', new Error('inner')), 20)
        return { status: 200, body: ctx.traceId }"""
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        trace = (await site.post("/a")).text
        first = await logged(caplog, "at once { a: 1 }")
        second = await logged(caplog, "in a timer")
        third = await logged(caplog, "after the answer")
        assert [one.levelname for one in (first, second, third)] == ["INFO", "WARNING", "ERROR"]
        assert {(one.step, one.trace) for one in (first, second, third)} == {("a", trace)}
        assert "steps/a.step.ts:7" in third.getMessage()


async def test_whatever_is_logged_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = """
        console.dir({ a: [1] })
        console.table([{ a: 1 }])
        ctx.logger.info('fields', { m: new Map([['k', 1]]), s: { deep: new Set([2]) }, n: 5n, u: undefined })
        return { status: 204 }"""
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        trace = (await site.post("/a")).headers["x-trace-id"]
        shown = await logged(caplog, "{ a: [ 1 ] }")
        assert (shown.step, shown.trace) == ("a", trace)
        assert "│ a │\n" in (await logged(caplog, "(index)")).getMessage()
        fields = (await logged(caplog, "fields")).fields
        assert fields == {"m": {"k": 1}, "s": {"deep": [2]}, "n": "5n", "u": None}


async def test_a_thrown_error_is_told_with_places_of_the_sources_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lib = """\
interface Wide {
  a: number
}
import { call } from 'pack'
export const run = (w: Wide) => call(() => { throw new Error('deep') })
"""
    files = {
        "steps/a.step.ts": step(
            "/a", "await 1\nreturn run({ a: 1 })", top="import { run } from '../lib/run'"
        ),
        "lib/run.ts": lib,
        "node_modules/pack/package.json": '{"name": "pack"}',
        "node_modules/pack/index.js": "exports.call = (work) => work()\n",
    }
    async with node_site(tmp_path, files) as site:
        answer = await site.post("/a")
        assert answer.status_code == 500
        assert answer.json()["error"] == "Error: deep"
        (record,) = [one for one in caplog.records if getattr(one, "traceback", "").startswith("Error: deep")]
        first, *frames = record.traceback.splitlines()
        assert first == "Error: deep"
        assert all(
            place in frame
            for place, frame in zip(("run.ts:5", "run.ts:5", "a.step.ts:5"), frames, strict=False)
        )
        assert "pack/index.js" in frames[3]
        assert not any("node:internal" in frame or "/dist/" in frame for frame in frames)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("throw 'a text'", "a text"),
        ("throw undefined", "undefined"),
        ("throw Object.assign(new TypeError('odd'), { cause: new Error('why') })", "TypeError: odd"),
        ("return Promise.reject(new RangeError('later'))", "RangeError: later"),
        ("process.exit(3)", "process.exit(3) was called"),
        ("null.x", "Cannot read properties of null"),
        ("throw Object.defineProperty(new Error('odd'), 'stack', { get() { throw 1 } })", "Error: odd"),
        ("throw new Proxy({}, { getPrototypeOf() { throw 1 }, get() { throw 1 } })", "cannot be shown"),
    ],
)
async def test_whatever_is_thrown_is_a_failed_request_and_nothing_more(
    tmp_path: Path, body: str, said: str
) -> None:
    files = {"steps/a.step.js": step("/a", body), "steps/b.step.ts": step("/b", "return { status: 204 }")}
    async with node_site(tmp_path, files) as site:
        answer = await site.post("/a")
        assert answer.status_code == 500
        assert said in answer.json()["error"]
        assert (await site.post("/b")).status_code == 204


async def test_causes_and_the_errors_that_an_error_is_made_of_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = """
        const both = [Promise.reject(new Error('one')), Promise.reject(new Error('two'))]
        await Promise.any(both).catch((cause) => { throw new Error('outer', { cause }) })"""
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        assert (await site.post("/a")).json()["error"] == "Error: outer"
        traced = [one for one in caplog.records if getattr(one, "traceback", "").startswith("Error: outer")]
        (record,) = traced
        lines = [line for line in record.traceback.splitlines() if "    at " not in line]
        assert lines == [
            "Error: outer",
            "  Caused by: AggregateError: All promises were rejected",
            "  Among them: Error: one",
            "  Among them: Error: two",
        ]
        assert "<anonymous>" not in record.traceback


async def test_errors_that_nothing_catches_are_logged_and_the_process_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = """
        void Promise.reject(new Error('a lost promise'))
        setTimeout(() => { throw new Error('a lost timer') }, 1)
        return { status: 200, body: String(process.pid) }"""
    async with node_site(tmp_path, {"steps/a.step.ts": step("/a", body)}) as site:
        pid = (await site.post("/a")).text
        for said in ("a lost promise", "a lost timer"):
            record = await logged(caplog, said)
            assert (record.levelname, record.step) == ("ERROR", "a")
            assert "steps/a.step.ts" in record.traceback
        assert (await site.post("/a")).text == pid


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


async def test_packages_of_the_project_are_there_for_steps(tmp_path: Path) -> None:
    files = {
        "steps/a.step.ts": step(
            "/a",
            "return { status: 200, body: [old(), fresh, (await import('later')).default] }",
            top="import old from 'old'\nimport { fresh } from 'fresh'",
        ),
        "node_modules/old/package.json": '{"name": "old", "main": "main.js"}',
        "node_modules/old/main.js": "module.exports = () => 'commonjs'",
        "node_modules/fresh/package.json": '{"name": "fresh", "type": "module", "exports": "./m.js"}',
        "node_modules/fresh/m.js": "export const fresh = 'module'",
        "node_modules/later/package.json": '{"name": "later"}',
        "node_modules/later/index.js": "exports.default = 'later'; exports.__esModule = true",
    }
    async with node_site(tmp_path, files) as site:
        assert (await site.post("/a")).json() == ["commonjs", "module", "later"]


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
