"""What TypeScript and JavaScript steps answer, write and log, on one server that all tests here share."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from support.node_site import NodeSite, logged, node_site, step
from support.node_worker import node_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODIES = {
    "new Uint8Array([1, 2, 3]).subarray(1)": b"\x02\x03",
    "new Uint8Array([1, 2]).buffer": b"\x01\x02",
    "null": b"null",
    "undefined": b"",
    "new Date(0)": b'"1970-01-01T00:00:00.000Z"',
    "{ n: 12345678901234567890n }": b'{"n":12345678901234567890}',
    "new Map([['a', new Set([1])]])": b'{"a":[1]}',
}
HEADERS = (
    "{ 'set-cookie': ['a=1', 'b=2'], 'x-n': 5, 'x-no': undefined }",
    "new Headers([['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-n', '5']])",
    "new Map<string, any>([['set-cookie', ['a=1', 'b=2']], ['x-n', 5]])",
)
THROWN = {
    "throw 'a text'": "a text",
    "throw undefined": "undefined",
    "throw Object.assign(new TypeError('odd'), { cause: new Error('why') })": "TypeError: odd",
    "return Promise.reject(new RangeError('later'))": "RangeError: later",
    "process.exit(3)": "process.exit(3) was called",
    "null.x": "Cannot read properties of null",
    "throw Object.defineProperty(new Error('odd'), 'stack', { get() { throw 1 } })": "Error: odd",
    "throw new Proxy({}, { getPrototypeOf() { throw 1 }, get() { throw 1 } })": "cannot be shown",
}

STRICT = """
    import { z } from 'zod'
    export const config = { name: 'strict', schema: z.object({ n: z.number() }) }"""
CODES = """
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
CHANGED = """
    await ctx.streams.notes.set('changed', '1', { n: 1, list: [1] })
    const item = await ctx.streams.notes.get('changed', '1')
    const seen = [item.version, Object.keys(item).sort(), structuredClone(item)]
    item.n += 1
    item.list.push(2)
    item.version = 'mine'
    const after = await ctx.streams.notes.set('changed', '1', item)
    return { status: 200, body: { seen, after, all: await ctx.streams.notes.getGroup('changed') } }"""
TAKEN_OFF = """
    const { set, getGroup } = ctx.streams.notes
    set('taken off', '1', { a: 1 })
    return { status: 200, body: await getGroup('taken off') }"""
CLOSED = """
    import { StreamConfig } from 'headwater'
    export const config: StreamConfig = { name: 'closed', schema: null,
      canAccess: async ({ groupId, id }) => groupId === 'open' && id === undefined }"""

AUTH = """
    import { ApiMiddleware } from 'motia'
    export const auth: ApiMiddleware = async (req, ctx, next) => {
      if (!req.headers.authorization) return { status: 401, body: { error: 'who?' } }
      req.user = { name: req.headers.authorization }
      const response = await next()
      return { ...response, headers: { 'x-step': ctx.stepName } }
    }"""

PRINTED = """
    console.log('at %s', 'once', { a: 1 })
    await new Promise((wake) => setTimeout(() => { console.warn('in a timer'); wake() }, 5))
    setTimeout(() => console.error('after the answer', new Error('inner')), 20)
    return { status: 200, body: ctx.traceId }"""
LOGGED = """
    console.dir({ a: [1] })
    console.table([{ a: 1 }])
    ctx.logger.info('fields', { m: new Map([['k', 1]]), s: { deep: new Set([2]) }, n: 5n, u: undefined })
    return { status: 204 }"""
CAUSES = """
    const both = [Promise.reject(new Error('one')), Promise.reject(new Error('two'))]
    await Promise.any(both).catch((cause) => { throw new Error('outer', { cause }) })"""
LOST = """
    void Promise.reject(new Error('a lost promise'))
    setTimeout(() => { throw new Error('a lost timer') }, 1)
    return { status: 200, body: String(process.pid) }"""

RUN = """\
interface Wide {
  a: number
}
import { call } from 'pack'
export const run = (w: Wide) => call(() => { throw new Error('deep') })
"""
PACKAGES = {
    "node_modules/pack/package.json": '{"name": "pack"}',
    "node_modules/pack/index.js": "exports.call = (work) => work()\n",
    "node_modules/old/package.json": '{"name": "old", "main": "main.js"}',
    "node_modules/old/main.js": "module.exports = () => 'commonjs'",
    "node_modules/fresh/package.json": '{"name": "fresh", "type": "module", "exports": "./m.js"}',
    "node_modules/fresh/m.js": "export const fresh = 'module'",
    "node_modules/later/package.json": '{"name": "later"}',
    "node_modules/later/index.js": "exports.default = 'later'; exports.__esModule = true",
}


def place(kind: str, number: int) -> str:
    """The path of the step for one of several cases."""
    return f"/{kind}/{number}"


def project() -> dict[str, str]:
    """The files of the shared server."""
    wants_auth = {"top": "import { auth } from '../lib/auth'", "config": "middleware: [auth]"}
    packages = "import old from 'old'\nimport { fresh } from 'fresh'"
    unawaited = "ctx.streams.notes.set('g', '1', { at: () => 1 })\nreturn { status: 200, body: 'fine' }"
    echo = "return { status: 200, body: Buffer.concat([req.rawBody, Buffer.from([255])]) }"
    steps = {
        "bytes.step.ts": step("/bytes", echo),
        "pid.step.ts": step("/pid", "return { status: 200, body: String(process.pid) }"),
        "guarded.step.ts": step("/guarded", "return { status: 200, body: req.user.name }", **wants_auth),
        "codes.step.ts": step("/codes", CODES, top="import { HeadwaterError } from 'headwater'"),
        "changed.step.ts": step("/changed", CHANGED),
        "taken.step.ts": step("/taken", TAKEN_OFF),
        "unawaited.step.ts": step("/unawaited", unawaited),
        "printed.step.ts": step("/printed", PRINTED),
        "logged.step.ts": step("/logged", LOGGED),
        "causes.step.ts": step("/causes", CAUSES),
        "lost.step.ts": step("/lost", LOST),
        "deep.step.ts": step(
            "/deep", "await 1\nreturn run({ a: 1 })", top="import { run } from '../lib/run'"
        ),
        "packages.step.ts": step(
            "/packages",
            "return { status: 200, body: [old(), fresh, (await import('later')).default] }",
            top=packages,
        ),
        "strict.stream.ts": STRICT,
        "closed.stream.ts": CLOSED,
    }
    for number, body in enumerate(BODIES):
        steps[f"body{number}.step.ts"] = step(
            place("body", number), f"return {{ status: 200, body: {body} }}"
        )
    for number, headers in enumerate(HEADERS):
        steps[f"headers{number}.step.ts"] = step(
            place("headers", number), f"return {{ status: 200, headers: {headers} }}"
        )
    for number, body in enumerate(THROWN):
        steps[f"thrown{number}.step.js"] = step(place("thrown", number), body)
    files = {f"steps/{name}": text for name, text in steps.items()}
    return {**files, **PACKAGES, "lib/auth.ts": AUTH, "lib/run.ts": RUN}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeSite]:
    node_worker()
    async with node_site(tmp_path_factory.mktemp("answers"), project()) as site:
        assert site.server.project.problems == ()
        yield site


def traced(caplog: pytest.LogCaptureFixture, begin: str) -> Any:
    """The one record whose traceback begins so."""
    (record,) = [one for one in caplog.records if getattr(one, "traceback", "").startswith(begin)]
    return record


# --- requests and responses ---


async def test_bytes_come_in_and_go_out_as_buffers(site: NodeSite) -> None:
    sent = bytes(range(256))
    kind = {"content-type": "application/octet-stream"}
    answer = await site.client.post("/bytes", content=sent, headers=kind)
    assert answer.content == sent + b"\xff"


@pytest.mark.parametrize(("number", "content"), list(enumerate(BODIES.values())), ids=list(BODIES))
async def test_bodies_of_every_kind_are_sent(site: NodeSite, number: int, content: bytes) -> None:
    answer = await site.post(place("body", number))
    assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.parametrize("number", range(len(HEADERS)), ids=HEADERS)
async def test_a_header_may_have_several_values(site: NodeSite, number: int) -> None:
    answer = await site.post(place("headers", number))
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-n"] == "5"


async def test_middleware_of_another_file_answers_and_passes_on(site: NodeSite) -> None:
    assert (await site.post("/guarded")).status_code == 401
    answer = await site.client.post("/guarded", headers={"authorization": "ada"}, json={})
    assert (answer.text, answer.headers["x-step"]) == ("ada", "guarded")


async def test_packages_of_the_project_are_there_for_steps(site: NodeSite) -> None:
    assert (await site.post("/packages")).json() == ["commonjs", "module", "later"]


# --- streams ---


async def test_errors_of_streams_have_codes_and_name_the_fields(site: NodeSite) -> None:
    answer = (await site.post("/codes")).json()
    assert answer["codes"] == [
        [True, "CONFLICT"],
        [True, "SCHEMA_MISMATCH"],
        [True, "INVALID_INPUT"],
        [True, "INVALID_INPUT"],
        None,
    ]
    assert answer["faults"][0]["field"] == "n"


async def test_an_item_can_be_changed_and_set_again(site: NodeSite) -> None:
    answer = await site.post("/changed")
    item = {"id": "1", "n": 2, "list": [1, 2], "version": "mine"}
    assert answer.json() == {
        "seen": [1, ["id", "list", "n"], {"id": "1", "n": 1, "list": [1]}],
        "after": item,
        "all": [item],
    }
    assert answer.headers["x-headwater-items"] == "notes/changed/1@2, notes/changed/1@2"


async def test_methods_may_be_taken_off_a_stream(site: NodeSite) -> None:
    assert (await site.post("/taken")).json() == [{"id": "1", "a": 1}]


async def test_a_failed_call_that_nobody_awaits_is_logged_with_its_place(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await site.post("/unawaited")).text == "fine"
    record = await logged(caplog, "nobody awaited")
    assert "steps/unawaited.step.ts:4" in record.getMessage()
    assert (record.fields["code"], record.step) == ("INVALID_INPUT", "unawaited")


async def test_an_access_function_decides_who_may_subscribe(site: NodeSite) -> None:
    runtime = site.server.runtime
    assert await runtime.access("closed", "open", None, None) is True
    assert await runtime.access("closed", "open", "1", None) is False
    assert await runtime.access("closed", "shut", None, None) is False


# --- logs and errors ---


async def test_console_lines_carry_step_and_trace_wherever_they_are_printed(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    trace = (await site.post("/printed")).text
    first = await logged(caplog, "at once { a: 1 }")
    second = await logged(caplog, "in a timer")
    third = await logged(caplog, "after the answer")
    assert [one.levelname for one in (first, second, third)] == ["INFO", "WARNING", "ERROR"]
    assert {(one.step, one.trace) for one in (first, second, third)} == {("printed", trace)}
    assert "steps/printed.step.ts:7" in third.getMessage()


async def test_whatever_is_logged_is_shown(site: NodeSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    trace = (await site.post("/logged")).headers["x-trace-id"]
    shown = await logged(caplog, "{ a: [ 1 ] }")
    assert (shown.step, shown.trace) == ("logged", trace)
    assert "│ a │\n" in (await logged(caplog, "(index)")).getMessage()
    fields = (await logged(caplog, "fields")).fields
    assert fields == {"m": {"k": 1}, "s": {"deep": [2]}, "n": "5n", "u": None}


async def test_a_thrown_error_is_told_with_places_of_the_sources_first(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await site.post("/deep")
    assert answer.status_code == 500
    assert answer.json()["error"] == "Error: deep"
    first, *frames = traced(caplog, "Error: deep").traceback.splitlines()
    assert first == "Error: deep"
    places = ("run.ts:5", "run.ts:5", "deep.step.ts:5", "pack/index.js")
    assert all(place in frame for place, frame in zip(places[:3], frames, strict=False))
    assert places[3] in frames[3]
    assert not any("node:internal" in frame or "/dist/" in frame for frame in frames)


@pytest.mark.parametrize(("number", "said"), list(enumerate(THROWN.values())), ids=list(THROWN))
async def test_whatever_is_thrown_is_a_failed_request_and_nothing_more(
    site: NodeSite, number: int, said: str
) -> None:
    pid = (await site.post("/pid")).text
    answer = await site.post(place("thrown", number))
    assert answer.status_code == 500
    assert said in answer.json()["error"]
    assert (await site.post("/pid")).text == pid


async def test_causes_and_the_errors_that_an_error_is_made_of_are_told(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await site.post("/causes")).json()["error"] == "Error: outer"
    record = traced(caplog, "Error: outer")
    lines = [line for line in record.traceback.splitlines() if "    at " not in line]
    assert lines == [
        "Error: outer",
        "  Caused by: AggregateError: All promises were rejected",
        "  Among them: Error: one",
        "  Among them: Error: two",
    ]
    assert "<anonymous>" not in record.traceback


async def test_errors_that_nothing_catches_are_logged_and_the_process_goes_on(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    pid = (await site.post("/lost")).text
    for said in ("a lost promise", "a lost timer"):
        record = await logged(caplog, said)
        assert (record.levelname, record.step) == ("ERROR", "lost")
        assert "steps/lost.step.ts" in record.traceback
    assert (await site.post("/lost")).text == pid
