"""Types from schemas: what each language is told, and that both checkers accept any of them."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from headwater.cli.typegen.files import PYTHON, TYPESCRIPT, refresh, stale, write
from headwater.cli.typegen.python import python
from headwater.cli.typegen.typescript import typescript
from headwater.steps.project.declare import ApiStep, CronStep, EventStep, Problem, Project, StreamDeclaration
from support.typescript import compile_strictly


class Author(BaseModel):
    name: str
    likes: dict[str, int] = {}


class Comment(BaseModel):
    id: str
    author: Author
    replies: list[Comment] = []
    kind: str | None = Field(None, description='What "kind" it is: */ or """ or \\')


ODD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "with-dash": {"type": "string"},
        "class": {"type": "integer"},
        "1st": {"enum": ["a", "it's", 3, None, True]},
        "ünïcode": {"type": ["string", "null"]},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "maxItems": 2},
        "many": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"properties": {"x": {}}}]}},
        "both": {"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"const": 1}}}]},
        "never": False,
        "lost": {"$ref": "#/$defs/nowhere"},
        "away": {"$ref": "https://example.com/schema"},
        "loop": {"$ref": "#"},
        "": {"type": "string"},
        "nameless": {"type": "object", "properties": {"": {"type": "string"}}},
        "json": {"$ref": "#/$defs/any%20value"},
        "nested": {"properties": {"deep": {"type": "object", "additionalProperties": {"type": "string"}}}},
    },
    "required": ["class", "id"],
    "$defs": {
        "any value": {
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "array", "items": {"$ref": "#/$defs/any%20value"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/any%20value"}},
            ]
        },
    },
}  # fmt: skip

WITH_ID: dict[str, Any] = {"type": "object", "properties": {"id": {"type": "string"}}}
COMMENT, AUTHOR = Comment.model_json_schema(), Author.model_json_schema()

PROJECT = Project(
    1,
    steps=(
        ApiStep(
            "steps/a_step.py", "python", "Add comment", emits=("comment.added",), path="/a", method="POST",
            body_schema=COMMENT, response_schemas={201: COMMENT, 404: ODD},
        ),
        ApiStep("steps/b.step.ts", "node", "plain", path="/b", method="GET"),
        EventStep("steps/c_step.py", "python", "Tell", subscribes=("comment.added",), input_schema=AUTHOR),
        CronStep("steps/d_step.py", "python", "Nightly", cron="0 3 * * *"),
    ),
    streams=(
        StreamDeclaration("steps/c_stream.py", "python", name="comments", schema=COMMENT),
        StreamDeclaration("steps/*/o.stream.ts", "node", name="odd-stream", schema=ODD),
        StreamDeclaration("steps/f_stream.py", "python", name="free"),
        StreamDeclaration("steps/s_stream.py", "python", name="Stream", schema=WITH_ID),
    ),
)  # fmt: skip


def test_each_stream_and_handler_is_declared_for_typescript() -> None:
    text = typescript(PROJECT)
    assert "comments: Stream<Comments>" in text
    assert "'odd-stream': Stream<OddStream>" in text
    assert "free: Stream<Free>" in text
    assert "'Add comment': ApiRouteHandler<" in text
    assert "Nightly: CronHandler<EmittedEvent>" in text
    assert "{ topic: 'comment.added'; data: {" in text
    assert "Tell: EventHandler<{" in text
    assert "Handler<never" not in text
    assert ", never>" not in text


def test_each_stream_is_declared_for_python() -> None:
    text = python(PROJECT)
    assert "def comments(self) -> Stream[Comments, CommentsData]: ..." in text
    assert "def __getitem__(self, name: Literal['odd-stream']) -> Stream[" in text
    assert "class AddCommentRequest(TypedDict):" in text
    assert "AddCommentResponse = AddCommentResponse201 | AddCommentResponse404" in text
    assert "class AddCommentContext(Context):" in text
    assert "NightlyContext" not in text


@pytest.mark.npm
def test_typescript_accepts_the_file_whatever_the_schemas(tmp_path: Path) -> None:
    (tmp_path / "headwater_lifespan.ts").write_text(
        "export async function* lifespan() { yield { any: (name: string) => name.length } }\n"
    )
    write(PROJECT, tmp_path)
    options = {"target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": ["node"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["*.ts"]}))
    (tmp_path / "use.ts").write_text(
        "import { Handlers, Streams, HeadwaterError, versionOf } from 'headwater'\n"
        "import type { FlowContext, MotiaStream, ApiMiddleware } from 'motia'\n"
        "export const handler: Handlers['Add comment'] = async (req, { streams, emit }) => {\n"
        "  await emit({ topic: 'comment.added', data: { name: 'ada' } })\n"
        "  const item = await streams.comments.set('g', '1', { author: { name: req.body.author.name } })\n"
        "  await streams.comments.set('g', '1', item)\n"
        "  return { status: 201, body: item, headers: { version: String(versionOf(item)) } }\n"
        "}\n"
        "export const nightly: Handlers['Nightly'] = (ctx) => ctx.emit({ topic: 'any', data: 1, delay: 2 })\n"
        "export const tell: Handlers['Tell'] = async (input, ctx) => {\n"
        "  const { emit, attempt, state, progress, streams, app } = ctx\n"
        "  const job = await streams.free.set('g', 'job', {})\n"
        "  for await (const name of progress(['a'], job)) app.any(name.toUpperCase()).toFixed()\n"
        "  // @ts-expect-error: the lifespan yields no such thing\n"
        "  app.other()\n"
        "  for (const n of progress(new Set([1]).values(), job, { total: 1 })) n.toFixed()\n"
        "  for await (const n of progress((async function* () { yield 1 })(), job)) n.toFixed()\n"
        "  await emit({ topic: 'any', messageGroupId: input.name, key: String(attempt) })\n"
        "  const seen = await state.get<{ n: number }>('g', input.name)\n"
        "  const count: number = (await state.set('g', 'k', { n: (seen?.n ?? 0) + 1 }, { ttl: 5 })).n\n"
        "  const old = await state.get('g', 'k')\n"
        "  const entries = await state.list<number>('g')\n"
        "  const names: string[] = await state.list()\n"
        "  const more = [{ type: 'increment', path: '' }] as const\n"
        "  await state.update('g', 'k', more, { writeKey: 'once', ifExists: true })\n"
        "  return [count, old.anything, entries.map(({ key, value }) => key + value.toFixed()), names]\n"
        "}\n"
        "export const wrongly: Handlers['Add comment'] = async (_req, { emit }) => {\n"
        "  // @ts-expect-error: the steps that subscribe need a name\n"
        "  await emit({ topic: 'comment.added', data: { nam: 'ada' } })\n"
        "  // @ts-expect-error: no such topic is in emits\n"
        "  await emit({ topic: 'comment.removed', data: { name: 'ada' } })\n"
        "  return { status: 404, body: { class: 1, id: '1' } }\n"
        "}\n"
        "export const around: ApiMiddleware = async (req, ctx, next) => { req.user = 1; return next() }\n"
        "export const free = (streams: Streams) => streams.free.set('g', '1', { a: 1, b: [2] })\n"
        "export const there = async (streams: Streams) => {\n"
        "  const item = await streams.comments.update('g', '1', [], { ifExists: true, key: 'k' })\n"
        "  // @ts-expect-error: there may be none\n"
        "  return item.id\n"
        "}\n"
        "export const code = (error: unknown) => error instanceof HeadwaterError && error.code\n"
        "export type Old = MotiaStream<FlowContext['flows']>\n"
        "import type { ApiResponse, EventConfig, StepHandler } from 'motia'\n"
        "import { z } from 'zod'\n"
        "const config = { type: 'event', name: 'E', subscribes: ['t'], emits: [], "
        "input: z.object({ n: z.number() }) } satisfies EventConfig\n"
        "export const old: StepHandler<typeof config> = async (input) => input.n.toFixed()\n"
        "export const typed: ApiMiddleware<unknown, never, { ok: boolean }> = async (_, __, next) => next()\n"
        "export const wrong: ApiMiddleware<unknown, never, { ok: boolean }> =\n"
        "  // @ts-expect-error: not that body\n"
        "  async (): Promise<ApiResponse<200, { no: 1 }>> => ({ status: 200, body: { no: 1 } })\n"
        "export const odd = async (streams: Streams) => {\n"
        "  const json = { a: [1, null, { b: 'c' }] }\n"
        "  const item = await streams['odd-stream'].set('g', '1', { class: 1, json })\n"
        "  await streams['odd-stream'].set('g', '1', item)\n"
        "  // @ts-expect-error: no JSON value\n"
        "  await streams['odd-stream'].set('g', '1', { class: 1, json: { a: () => 1 } })\n"
        "}\n"
    )
    assert compile_strictly(tmp_path, exactOptionalPropertyTypes=True, noUncheckedIndexedAccess=True) == []


def test_pyright_accepts_the_file_whatever_the_schemas(tmp_path: Path) -> None:
    (tmp_path / "headwater_lifespan.py").write_text(
        "import threading\n"
        "from collections.abc import AsyncGenerator\n"
        "from contextlib import asynccontextmanager\n"
        "from typing import TypedDict\n"
        "class App(TypedDict):\n"
        "    lock: threading.Lock\n"
        "@asynccontextmanager\n"
        "async def lifespan() -> 'AsyncGenerator[tuple[App, list[int]], None]':\n"
        "    yield {'lock': threading.Lock()}, []\n"
    )
    write(PROJECT, tmp_path)
    checks = {"typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": "error"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({**checks, "pythonVersion": "3.11"}))
    (tmp_path / "use.py").write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from headwater_types import AddCommentContext, AddCommentRequest, AddCommentResponse\n"
        "    from headwater_types import Context, TellInput\n"
        "from collections.abc import AsyncIterable\n"
        "async def work(ctx: Context, rows: AsyncIterable[int]) -> None:\n"
        "    job = await ctx.streams.free.set('g', 'job', {'a': 1})\n"
        "    async for name in ctx.progress(['a'], job):\n"
        "        ctx.app[0]['lock'].acquire(timeout=len(name))\n"
        "        ctx.app[1].append(name)  # pyright: ignore\n"
        "    for n in ctx.progress(iter([1]), job, total=1):\n"
        "        n.bit_length()\n"
        "    async for n in ctx.progress(rows, job):\n"
        "        n.bit_length()\n"
        "async def tell(input: TellInput, ctx: Context) -> None:\n"
        "    await ctx.emit({'topic': 'any', 'data': input['name'], 'delay': ctx.attempt})\n"
        "    seen: int = await ctx.state.get('g', input['name'])\n"
        "    await ctx.state.set('g', 'k', [seen], ttl=5, write_key=ctx.run)\n"
        "    names = [name.upper() for name in await ctx.state.list()]\n"
        "    values = [entry['value'] for entry in await ctx.state.list('g')]\n"
        "    print(names, values, ctx.state.get_group('g').result())\n"
        "async def handler(req: AddCommentRequest, ctx: AddCommentContext) -> AddCommentResponse:\n"
        "    await ctx.emit({'topic': 'comment.added', 'data': {'name': 'ada'}, 'messageGroupId': 'g'})\n"
        "    ctx.emit({'topic': 'comment.added', 'data': {'nam': 1}})  # pyright: ignore\n"
        "    ctx.emit({'topic': 'removed', 'data': {}})  # pyright: ignore\n"
        "    await tell({'name': 'ada'}, ctx)\n"
        "    author = req['body']['author']['name']\n"
        "    item = await ctx.streams.comments.set('g', '1', {'author': {'name': author}})\n"
        "    await ctx.streams['comments'].set('g', '1', item)\n"
        "    ctx.streams.free.set('g', '1', {'a': 1})\n"
        "    odd = await ctx.streams['odd-stream'].set('g', '1', {'class': 1, 'json': {'a': [1, None]}})\n"
        "    await ctx.streams['odd-stream'].set('g', '1', odd)\n"
        "    ctx.streams['odd-stream'].update('g', '1', [{'type': 'increment', 'path': 'class'}])\n"
        "    there = await ctx.streams.free.update('g', '1', [], if_exists=True)\n"
        "    print(there['a'])  # pyright: ignore\n"
        "    ctx.state.update('g', 'k', [], if_exists=True)\n"
        "    return {'status': 201, 'body': item}\n"
    )
    command = [Path(sys.executable).with_name("basedpyright"), "--outputjson", "--level", "error", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert [one["message"] for one in json.loads(ran.stdout)["generalDiagnostics"]] == []


def test_only_what_has_changed_is_written(tmp_path: Path) -> None:
    assert write(PROJECT, tmp_path) == [TYPESCRIPT, PYTHON]
    assert stale(PROJECT, tmp_path) == []
    assert write(PROJECT, tmp_path) == []
    (tmp_path / PYTHON).write_bytes(b"\xff")
    assert stale(PROJECT, tmp_path) == [PYTHON]


def test_dev_writes_what_is_there_and_the_types_of_a_project_with_typescript(tmp_path: Path) -> None:
    only_python = Project(1, streams=(StreamDeclaration("s_stream.py", "python", name="s"),))
    assert refresh(only_python, tmp_path) == []
    assert refresh(PROJECT, tmp_path) == [TYPESCRIPT]
    (tmp_path / PYTHON).touch()
    assert refresh(PROJECT, tmp_path) == [PYTHON]
    broken = Project(2, problems=(Problem("error", "SYNTAX_ERROR", "no"),))
    assert refresh(broken, tmp_path) == []


OLD_TYPES = re.findall(
    r"\w+",
    """
    AdapterConfig ApiMiddleware ApiRequest ApiResponse ApiRouteConfig ApiRouteHandler ApiRouteMethod
    BaseStreamItem Config CronAdapter CronAdapterConfig CronConfig CronHandler CronLock CronLockInfo
    CronManager Emit EmitData Emitter Event EventAdapter EventConfig EventHandler Flow FlowContext
    FlowContextStateStreams Handler HandlerConfig Handlers InfrastructureConfig
    InfrastructureValidationError InfrastructureValidationResult InternalStateManager JsonSchema
    LockedData Logger Metric Motia MotiaEventManager MotiaPlugin MotiaPluginBuilder MotiaPluginContext
    MotiaServer MotiaStream NoopConfig ObservabilityAdapter PluginApiConfig PluginStep QueryParam
    QueueConfig QueueMetrics RedisConfig StateAdapter StateFilter StateItem StateItemsInput
    StateStreamEvent StateStreamEventChannel Step StepConfig StepHandler StepSchemaInput Stream
    StreamAdapter StreamAdapterManager StreamAuthConfig StreamAuthContext StreamAuthRequest StreamConfig
    StreamQueryFilter StreamSubscription SubscribeConfig SubscriptionHandle Tracer
    UnregisterMotiaPluginApi UnsubscribeConfig WorkbenchPlugin ZodInput
    """,
)
"""What the published packages of the old framework, 0.8 to 0.17, export as types."""

OLD_CONFIG = """
import { config, defineConfig, type MotiaPlugin, type StreamAuthContext, type StreamAuthRequest } from 'motia'
import type { ApiRouteConfig, Handlers, StreamConfig, StepHandler } from 'motia'
const plugin = (): MotiaPlugin => ({ workbench: [{ packageName: 'x', position: 'top' }] })
export default config({
  plugins: [plugin],
  redis: { useMemoryServer: true },
  app: (app) => app.use(1),
  streamAuth: {
    contextSchema: {},
    authenticate: async (request: StreamAuthRequest): Promise<StreamAuthContext | null> =>
      request.headers['x'] ? { user: request.url } : null,
  },
})
export const other = defineConfig({})
// @ts-expect-error: no such key
config({ plugins: 1 })
"""


@pytest.mark.npm
def test_the_old_modules_types_and_functions_are_all_there(tmp_path: Path) -> None:
    write(PROJECT, tmp_path)
    uses = "".join(f"import type {{ {name} }} from 'motia'\nexport type {{ {name} }}\n" for name in OLD_TYPES)
    (tmp_path / "uses.ts").write_text(uses)
    (tmp_path / "motia.config.ts").write_text(OLD_CONFIG)
    (tmp_path / "tsconfig.json").write_text('{"include": ["*.ts"]}')
    assert compile_strictly(tmp_path, target="es2022", module="esnext", moduleResolution="bundler") == []


BROKEN = Problem("error", "SYNTAX_ERROR", "no", file="steps/a_step.py", involved=("steps/a_step.py",))


def test_a_file_at_fault_keeps_its_types_and_the_others_get_fresh_ones(tmp_path: Path) -> None:
    for path in ("steps/a_step.py", "steps/c_stream.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    write(PROJECT, tmp_path)
    assert "'Add comment'" in (tmp_path / TYPESCRIPT).read_text()
    kept = tmp_path / ".headwater"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, *kept.iterdir())] == [0o700, 0o600]
    new = StreamDeclaration("steps/new_stream.py", "python", name="fresh", schema=AUTHOR)
    half = replace(PROJECT, steps=PROJECT.steps[1:], streams=(*PROJECT.streams, new), problems=(BROKEN,))
    for _ in range(2):
        write(half, tmp_path)
        for name in (TYPESCRIPT, PYTHON):
            text = (tmp_path / name).read_text()
            assert ("fresh" in text, "Add comment" in text or "AddComment" in text) == (True, True)
    assert refresh(half, tmp_path) == []
    (tmp_path / "steps/a_step.py").unlink()
    gone = replace(half, problems=())
    write(gone, tmp_path)
    assert "'Add comment'" not in (tmp_path / TYPESCRIPT).read_text()


def test_types_that_nobody_remembers_are_not_written_over(tmp_path: Path) -> None:
    write(PROJECT, tmp_path)
    before = (tmp_path / TYPESCRIPT).read_text()
    (tmp_path / ".headwater" / "declared.json").write_text("[{]")
    half = replace(PROJECT, steps=PROJECT.steps[1:], problems=(BROKEN,))
    assert TYPESCRIPT not in write(half, tmp_path)
    assert (tmp_path / TYPESCRIPT).read_text() == before


def test_a_project_that_does_not_load_at_all_keeps_all_types(tmp_path: Path) -> None:
    for one in (*PROJECT.steps, *PROJECT.streams):
        (tmp_path / one.file).parent.mkdir(exist_ok=True)
        (tmp_path / one.file).touch()
    write(PROJECT, tmp_path)
    assert write(Project(2, problems=(Problem("error", "WORKER_LOST", "no"),)), tmp_path) == []


@pytest.mark.parametrize(
    ("file", "source", "typescript_says", "python_says"),
    [
        ("none", "", "App = undefined", "app: None"),
        ("headwater_lifespan.js", "export function* lifespan() {}", "App = any", "app: None"),
        ("headwater_lifespan.py", "async def lifespan(): yield 1", "App = undefined", "app: Any"),
        ("headwater_lifespan.py", "def lifespan() -> int: ...", "App = undefined", "app: Any"),
        ("headwater_lifespan.py", "def (", "App = undefined", "app: Any"),
        (
            "headwater_lifespan.py",
            "async def lifespan(about) -> typing.AsyncGenerator[dict[str, 'Pool'], None]: yield {}",
            "App = undefined",
            "app: dict[str, _headwater_lifespan.Pool]",
        ),
    ],
)
def test_what_a_lifespan_yields_is_as_its_file_says(
    tmp_path: Path, file: str, source: str, typescript_says: str, python_says: str
) -> None:
    (tmp_path / file).write_text(source)
    write(PROJECT, tmp_path)
    assert typescript_says in (tmp_path / "types.d.ts").read_text()
    assert python_says in (tmp_path / "headwater_types.pyi").read_text()
