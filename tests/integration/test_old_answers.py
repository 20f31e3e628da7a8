"""What steps of the old format answer and raise, in every language that steps are written in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from headwater.config import Settings
from support.node_site import NodeSite, node_site
from support.node_worker import node_worker
from support.steps_project import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = "type: 'api', name: '%s', path: '/%s', method: 'POST', emits: []"

PYTHON = """
from types import SimpleNamespace
from headwater import Conflict, HeadwaterError, InvalidInput, TooMany, UnknownItem

class Note:
    def __init__(self, text):
        self.text, self._secret = text, "s"
        self.inner = SimpleNamespace(n=[1])

class Odd(Conflict):
    pass

config = {"type": "api", "name": "py", "path": "/py", "method": "POST", "emits": []}

def answers():
    return {
        "page": {"status": 200, "body": "<h1>hi</h1>"},
        "later page": {"status": 200, "body": "\\n  <!doctype html>"},
        "text": {"status": 200, "body": "a < b"},
        "empty text": {"status": 200, "body": ""},
        "own type": {"status": 200, "body": "<a/>", "headers": {"Content-Type": "application/json"}},
        "csv": {"status": 200, "body": "a,b", "headers": {"Content-Type": "text/csv"}},
        "latin": {"status": 200, "body": "a", "headers": {"Content-Type": "text/html; charset=latin-1"}},
        "bytes": {"status": 200, "body": b"\\xff", "headers": {"Content-Type": "text/plain"}},
        "text status": {"status": "201", "body": {}},
        "odd status": {"status": "ok", "body": {}},
        "truth": {"status": 200, "body": {}, "headers": {"X-A": True, "X-B": False}},
        "no header": {"status": 200, "body": {}, "headers": {"X-A": None}},
        "error": {"status": 400, "body": {"error": ValueError("secret")}},
        "object": {"status": 200, "body": Note("hi")},
        "float status": {"status": 201.0, "body": {}},
    }

async def handler(req, ctx):
    name = req["body"]["name"]
    if name == "raise":
        raise Conflict("that name is taken", hint="take another", taken=["a"])
    if name == "raise own":
        raise Odd("mine", odd=object())
    if name == "raise too many":
        raise TooMany("slowly")
    if name == "raise inside":
        raise HeadwaterError("secret")
    if name == "conflict":
        await ctx.streams.notes.set("g", "1", {"n": 1})
        await ctx.streams.notes.set("g", "1", {"n": 2}, if_version=99)
    if name == "not awaited":
        ctx.streams.notes.set("g", "1", {"n": 2}, if_version=99)
        return {"status": 200, "body": {}}
    if name == "no stream":
        await ctx.streams.nowhere.get("g", "1")
    if name == "misfit":
        await ctx.streams.strict.set("g", "1", {"n": "no"})
    return answers()[name]
"""

NODE = """
class Note { constructor(text) { this.text = text; this.inner = { n: [1] } } }
%s
const answers = () => ({
  'page': { status: 200, body: '<h1>hi</h1>' },
  'later page': { status: 200, body: '\\n  <!doctype html>' },
  'text': { status: 200, body: 'a < b' },
  'empty text': { status: 200, body: '' },
  'own type': { status: 200, body: '<a/>', headers: { 'Content-Type': 'application/json' } },
  'csv': { status: 200, body: 'a,b', headers: { 'Content-Type': 'text/csv' } },
  'latin': { status: 200, body: 'a', headers: { 'Content-Type': 'text/html; charset=latin-1' } },
  'bytes': { status: 200, body: Buffer.from([255]), headers: { 'Content-Type': 'text/plain' } },
  'text status': { status: '201', body: {} },
  'odd status': { status: 'ok', body: {} },
  'truth': { status: 200, body: {}, headers: { 'X-A': true, 'X-B': false } },
  'no header': { status: 200, body: {}, headers: { 'X-A': null } },
  'error': { status: 400, body: { error: new Error('secret') } },
  'object': { status: 200, body: new Note('hi') },
})
const handle = async (req, ctx) => {
  const { name } = req.body
  if (name === 'raise') {
    const more = { hint: 'take another', taken: ['a'] }
    throw new HeadwaterError({ code: 'CONFLICT', message: 'that name is taken', ...more })
  }
  if (name === 'raise inside') throw new HeadwaterError({ code: 'INTERNAL', message: 'secret' })
  if (name === 'conflict') {
    await ctx.streams.notes.set('g', '1', { n: 1 })
    await ctx.streams.notes.set('g', '1', { n: 2 }, { ifVersion: 99 })
  }
  if (name === 'no stream') await ctx.streams.nowhere.get('g', '1')
  if (name === 'misfit') await ctx.streams.strict.set('g', '1', { n: 'no' })
  return answers()[name]
}
"""
STRICT = """
config = {"name": "strict", "schema": {"type": "object", "properties": {"n": {"type": "number"}}}}
"""


PYTHON_ECHO = """
from ..services.s import v

async def known(req, ctx, next):
    ctx.user = {"name": "ada", "v": v}
    return await next()

config = {
    "type": "api", "name": "echo-py", "path": "/echo/py", "method": "POST", "emits": [], "middleware": [known]
}

async def handler(req, ctx):
    return {"status": 200, "body": {"user": ctx.user, "query": req["queryParams"], "body": req["body"]}}
"""
NODE_ECHO = """
const known = async (req, ctx, next) => {
  ctx.user = { name: 'ada', v: 1 }
  return next()
}
const handle = async (req, ctx) =>
  ({ status: 200, body: { user: ctx.user, query: req.queryParams, body: req.body } })
%s
"""
ECHO = "type: 'api', name: 'echo-%s', path: '/echo/%s', method: 'POST', emits: [], middleware: [known]"


def node_file(name: str, top: str, exports: str) -> str:
    return f"{NODE % top}\n{exports % (CONFIG % (name, name))}\n"


TYPESCRIPT = "export const config = { %s }\nexport const handler = handle"
JAVASCRIPT = "exports.config = { %s }\nexports.handler = handle"

FILES = {
    "services/s.py": "v = 1",
    "steps/echo_step.py": PYTHON_ECHO,
    "steps/echo.step.ts": NODE_ECHO % (TYPESCRIPT % (ECHO % ("ts", "ts"))),
    "steps/echo.step.js": NODE_ECHO % (JAVASCRIPT % (ECHO % ("js", "js"))),
    "steps/strict_stream.py": STRICT,
    "steps/py_step.py": PYTHON,
    "steps/ts.step.ts": node_file(
        "ts",
        "import { HeadwaterError, type ApiRouteConfig } from 'motia'",
        "export const config: ApiRouteConfig = { %s }\nexport const handler = handle",
    ),
    "steps/js.step.js": node_file(
        "js",
        "const { HeadwaterError } = require('headwater')",
        JAVASCRIPT,
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeSite]:
    node_worker()
    async with node_site(tmp_path_factory.mktemp("answers"), FILES) as site:
        assert site.server.project.problems == ()
        yield site


@pytest.fixture(params=["py", "ts", "js"])
def ask(site: NodeSite, request: pytest.FixtureRequest) -> Any:
    async def asked(name: str) -> httpx.Response:
        return await site.post(f"/{request.param}", {"name": name})

    return asked


@pytest.mark.parametrize("language", ["py", "ts", "js"])
async def test_what_middleware_puts_into_ctx_and_what_names_nest_reach_the_handler(
    site: NodeSite, language: str
) -> None:
    path = f"/echo/{language}?filter[age][gt]=3&tags[]=a&tags[]=b"
    form = {"user[name]": "ada", "list[0]": "x"}
    answer = await site.client.post(path, data=form)
    files = await site.client.post(path, data=form, files={"up[load]": ("a.txt", b"hi")})
    told = answer.json()
    assert told["user"] == {"name": "ada", "v": 1}
    assert told["query"] == {"filter": {"age": {"gt": "3"}}, "tags": ["a", "b"]}
    assert told["body"] == {"user": {"name": "ada"}, "list": ["x"]}
    assert files.json()["body"]["up"]["load"]["filename"] == "a.txt"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("page", "text/html; charset=utf-8"),
        ("later page", "text/html; charset=utf-8"),
        ("text", "text/plain; charset=utf-8"),
        ("empty text", "text/plain; charset=utf-8"),
        ("own type", "application/json"),
        ("csv", "text/csv; charset=utf-8"),
        ("latin", "text/html; charset=latin-1"),
        ("bytes", "text/plain"),
        ("object", "application/json"),
    ],
)
async def test_text_has_a_type_and_a_charset_and_no_browser_looks_for_others(
    ask: Any, name: str, content_type: str
) -> None:
    answer = await ask(name)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_errors_and_what_is_not_there_are_not_sniffed_either(site: NodeSite, ask: Any) -> None:
    pages = [await site.client.get(path) for path in ("/nowhere", "/streams/notes/g", "/headwater/client.js")]
    for answer in (await ask("raise"), *pages):
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize("mode", ["html", "plain"])
async def test_all_text_can_be_html_or_plain(tmp_path: Path, mode: Any) -> None:
    settings = Settings(project=tmp_path)
    settings = replace(settings, steps=replace(settings.steps, text_bodies=mode))
    async with serving(tmp_path, {"steps/py_step.py": PYTHON}, settings=settings) as steps:
        for name in ("page", "text"):
            answer = await steps.post("/py", {"name": name})
            assert dict(answer.headers)["content-type"] == f"text/{mode}; charset=utf-8"


async def test_a_status_may_be_text_and_a_header_a_truth_value(ask: Any) -> None:
    assert (await ask("text status")).status_code == 201
    headers = (await ask("truth")).headers
    assert (headers["x-a"], headers["x-b"]) == ("true", "false")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("odd status", ['"status"', "ok", "a whole number from 200 to 599"]),
        ("no header", ['"X-A"', "leave out a header"]),
        ("error", ["body.error", "Write what of it is meant"]),
    ],
)
async def test_what_cannot_be_sent_says_in_the_log_what_to_write(
    ask: Any, name: str, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(name)
    assert (answer.status_code, answer.json()["code"]) == (500, "HANDLER_FAILED")
    assert "secret" not in answer.text
    assert [word for word in said if word not in caplog.text] == []


async def test_an_object_of_the_project_goes_out_as_what_it_holds(ask: Any) -> None:
    assert (await ask("object")).json() == {"text": "hi", "inner": {"n": [1]}}


async def test_an_error_that_a_handler_raises_is_the_answer_with_its_status(ask: Any) -> None:
    answer = await ask("raise")
    told = answer.json()
    assert (answer.status_code, told["code"], told["detail"]) == (409, "CONFLICT", "that name is taken")
    assert (told["hint"], told["taken"]) == ("take another", ["a"])
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_error_that_a_handler_lets_through_is_the_answer_with_its_status(ask: Any) -> None:
    conflict, misfit = await ask("conflict"), await ask("misfit")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "CONFLICT")
    assert isinstance(conflict.json()["version"], int)
    assert (misfit.status_code, misfit.json()["code"]) == (400, "SCHEMA_MISMATCH")
    assert [fault["field"] for fault in misfit.json()["faults"]] == ["n"]


@pytest.mark.parametrize("name", ["raise inside", "no stream"])
async def test_a_fault_inside_tells_the_caller_nothing(ask: Any, name: str) -> None:
    answer = await ask(name)
    assert (answer.status_code, answer.json()["code"]) == (500, "HANDLER_FAILED")
    assert "secret" not in answer.json()["detail"]
    assert "nowhere" not in answer.json()["detail"]


async def test_python_classes_of_errors_and_whole_floats_do_too(site: NodeSite) -> None:
    own, many = [await site.post("/py", {"name": name}) for name in ("raise own", "raise too many")]
    assert (own.status_code, own.json()["detail"]) == (409, "mine")
    assert (many.status_code, many.headers["retry-after"]) == (429, "1")
    assert (await site.post("/py", {"name": "float status"})).status_code == 201
    assert (await site.post("/py", {"name": "not awaited"})).status_code == 200
