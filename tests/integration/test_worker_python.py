"""What Python user code can do in a worker, beyond what every language can: real processes throughout."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import PATIENCE, WorkerDriver, body_of, text_of
from support.worker_project import step, working

SOON = 8.0


def answer(root: Path, body: str, *, top: str = "", plain: bool = False, **more: Any) -> Any:
    """The JSON that one handler answers, whose body is given; it answers `result`."""
    lines = f"{textwrap.dedent(body)}\nreturn {{'status': 200, 'body': [result]}}"
    source = step("X", lines, top=top, plain=plain)
    with working(root, {"steps/x_step.py": source}) as worker:
        result = worker.run_step("X", **more)
        assert result.header["ok"], result.header["error"].get("traceback", result.header)
        return body_of(result)[0]


def logged(worker: WorkerDriver) -> list[tuple[str, str]]:
    return [(line.header["level"], line.header["message"]) for line in worker.of_type("log")]


# --- plain functions ---


def test_a_plain_handler_runs_in_a_thread_and_blocks_nobody(tmp_path: Path) -> None:
    files = {
        "steps/x_step.py": step("X", "time.sleep(20)", top="import time", plain=True),
        "steps/y_step.py": step("Y", "return {'status': 200, 'body': 'y'}"),
    }
    with working(tmp_path, files) as worker:
        for _ in range(5):
            worker.wait_for("started", worker.call_step("X"), timeout=SOON)
        assert text_of(worker.run_step("Y")) == "y"
        assert worker.of_type("blocked") == []


def test_a_plain_handler_waits_for_a_call_with_result(tmp_path: Path) -> None:
    body = """
        ctx.streams.chat.set("g", "1", {"n": 1})
        item = ctx.streams.chat.get("g", "1").result(timeout=5)
        result = [item, item.version, ctx.streams.chat.get_group("g").result()]
    """
    assert answer(tmp_path, body, plain=True) == [{"id": "1", "n": 1}, 1, [{"id": "1", "n": 1}]]


def test_result_in_an_async_handler_is_a_clear_error_instead_of_a_standstill(tmp_path: Path) -> None:
    body = """
        call = ctx.streams.chat.set("g", "1", {"n": 1})
        try:
            call.result()
        except InvalidInput as error:
            await call
            return {"status": 200, "body": [str(error), call.result()]}
    """
    source = step("X", body, top="from headwater.errors import InvalidInput")
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        worker.answering = False
        number = worker.call_step("X")
        call = worker.wait_for("call")
        worker.send(protocol.ping(1))
        worker.wait_for("pong")
        worker.send(worker.streams.answer(call))
        message, item = body_of(worker.wait_for("result", number))
    assert "async" in message
    assert item == {"id": "1", "n": 1}


def test_result_with_a_timeout_gives_up_waiting_but_not_the_call(tmp_path: Path) -> None:
    source = step(
        "X",
        """
        call = ctx.streams.chat.set("g", "1", {})
        try:
            call.result(timeout=0.05)
        except TimedOut as error:
            ctx.logger.info("gave up")
            return {"status": 200, "body": [error.code, call.result()]}
        """,
        top="from headwater.errors import TimedOut",
        plain=True,
    )
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        worker.answering = False
        number = worker.call_step("X")
        call = worker.wait_for("call")
        worker.wait_for("log")
        worker.send(worker.streams.answer(call))
        assert body_of(worker.wait_for("result", number)) == ["TIMED_OUT", {"id": "1"}]


def test_async_and_plain_middleware_and_handlers_mix_in_every_order(tmp_path: Path) -> None:
    top = """
        async def a(req, ctx, next):
            req.setdefault("trail", []).append("a")
            response = await next()
            return {**response, "body": response["body"] + ["after a"]}

        def p(req, ctx, next):
            req.setdefault("trail", []).append("p")
            response = next()
            return {**response, "body": response["body"] + ["after p"]}
    """
    orders = ["a", "p", "ap", "pa", "ppaa", "apap", "papa"]
    files = {}
    for order in orders:
        for plain in (False, True):
            name = f"{order}{'P' if plain else 'A'}"
            source = step(name, "return {'status': 200, 'body': list(req['trail'])}", top=top, plain=plain)
            chain = ", ".join(order)
            files[f"steps/{name}_step.py"] = f"{source}\nconfig['middleware'] = [{chain}]\n"
    with working(tmp_path, files) as worker:
        for order in orders:
            for kind in "AP":
                found = body_of(worker.run_step(order + kind))
                assert found == [*order, *(f"after {name}" for name in reversed(order))]


def test_plain_middleware_never_starves_the_handlers_that_it_waits_for(tmp_path: Path) -> None:
    top = """
        import asyncio
        def p(req, ctx, next):
            return next()
        async def a(req, ctx, next):
            await asyncio.sleep(0.05)
            return await next()
    """
    source = step("X", "return {'status': 200, 'body': 'x'}", top=top, plain=True)
    with working(tmp_path, {"steps/x_step.py": f"{source}\nconfig['middleware'] = [p, a, p]\n"}) as worker:
        numbers = {worker.call_step("X") for _ in range(150)}
        assert all(result.header["ok"] for result in worker.wait_for_all("result", numbers))


def test_more_plain_invocations_than_threads_wait_and_can_be_withdrawn(tmp_path: Path) -> None:
    with working(
        tmp_path, {"steps/x_step.py": step("X", "time.sleep(20)", top="import time", plain=True)}
    ) as worker:
        numbers = [worker.call_step("X") for _ in range(65)]
        worker.wait_for_all("started", numbers[:64])
        worker.send(protocol.withdraw(numbers[64]))
        assert worker.wait_for("withdrawn", numbers[64]).header["ok"] is True


def test_a_decorated_async_handler_runs_on_the_common_loop(tmp_path: Path) -> None:
    source = """
        import asyncio, functools
        def traced(function):
            @functools.wraps(function)
            def wrapper(*arguments):
                return function(*arguments)
            return wrapper
        loops = set()
        config = {"type": "api", "name": "X", "path": "/", "method": "GET", "emits": []}
        @traced
        async def handler(req, ctx):
            loops.add(id(asyncio.get_running_loop()))
            return {"status": 200, "body": len(loops)}
    """
    plain = "import x_step\n" + step("Y", "return x_step.handler(req, ctx)", plain=True)
    with working(tmp_path, {"steps/x_step.py": source, "steps/y_step.py": plain}) as worker:
        assert body_of(worker.run_step("X")) == 1
        assert body_of(worker.run_step("Y")) == 1


def test_context_variables_are_fresh_for_each_invocation_and_reach_the_handler(tmp_path: Path) -> None:
    top = """
        import contextvars
        who = contextvars.ContextVar("who", default="nobody")
        def p(req, ctx, next):
            req["before"] = who.get()
            who.set(req["body"]["who"])
            return next()
    """
    source = step("X", "return {'status': 200, 'body': [req['before'], who.get()]}", top=top)
    with working(tmp_path, {"steps/x_step.py": f"{source}\nconfig['middleware'] = [p]\n"}) as worker:
        for who in ("ada", "bob"):
            assert body_of(worker.run_step("X", {"who": who})) == ["nobody", who]


# --- calls ---


def test_a_call_can_be_awaited_in_every_way_that_asyncio_knows(tmp_path: Path) -> None:
    body = """
        begin = lambda number: ctx.streams.chat.set("g", str(number), {"n": number})
        twice = begin(0)
        result = [
            await twice, await twice,
            await asyncio.create_task(begin(1)),
            await asyncio.ensure_future(begin(2)),
            (await asyncio.gather(begin(3), begin(4)))[1],
            await asyncio.wait_for(begin(5), 5),
            await asyncio.shield(begin(6)),
            await asyncio.wait_for(asyncio.shield(begin(7)), 5),
            await asyncio.to_thread(begin(8).result),
        ]
        async with asyncio.timeout(5):
            result.append(await begin(9))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(begin(10))
        result.append(task.result())
        shared = begin(11)
        both = await asyncio.gather(asyncio.create_task(shared), asyncio.create_task(shared), shared)
        assert both[0] is both[1] is both[2]
        done, _ = await asyncio.wait([asyncio.create_task(begin(12))])
        result.append(done.pop().result())
        result = [item["n"] for item in result]
    """
    assert answer(tmp_path, body, top="import asyncio") == [0, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12]


def test_a_call_can_be_begun_and_awaited_from_other_threads_and_loops(tmp_path: Path) -> None:
    body = """
        def in_thread():
            async def inner():
                return await ctx.streams.chat.set("g", "1", {"n": 1})
            return asyncio.run(inner())
        outer = ctx.streams.chat.set("g", "2", {"n": 2})
        def wait_elsewhere():
            return asyncio.run(outer)
        result = [await asyncio.to_thread(in_thread), await asyncio.to_thread(wait_elsewhere)]
    """
    found = answer(tmp_path, body, top="import asyncio")
    assert found == [{"id": "1", "n": 1}, {"id": "2", "n": 2}]


def test_giving_up_on_a_call_does_not_undo_it_and_makes_no_noise(tmp_path: Path) -> None:
    source = step(
        "X",
        """
        try:
            await asyncio.wait_for(ctx.streams.chat.set("g", "1", {}), 0.05)
        except TimeoutError:
            ctx.logger.info("gave up")
            return {"status": 200, "body": "gave up"}
        """,
        top="import asyncio",
    )
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        worker.answering = False
        number = worker.call_step("X")
        call = worker.wait_for("call")
        worker.wait_for("log")
        worker.send(worker.streams.answer(call))
        assert text_of(worker.wait_for("result", number)) == "gave up"
        assert logged(worker) == [("info", "gave up")]


def test_a_refused_call_raises_the_error_of_its_kind_at_each_await(tmp_path: Path) -> None:
    body = """
        call = ctx.streams.chat.set("g", "1", {"refuse": True})
        result = []
        for _ in range(2):
            try:
                await call
            except SchemaMismatch as error:
                result.append([error.code, error.details["faults"], error.__notes__])
        await ctx.streams.chat.set("g", "2", {})
        try:
            await ctx.streams.chat.set("g", "2", {}, if_version=7)
        except Conflict as error:
            result.append(error.details["version"])
    """
    refused = [
        "SCHEMA_MISMATCH",
        [{"field": "refuse", "message": "is not allowed"}],
        ["refuse: is not allowed"],
    ]
    found = answer(tmp_path, body, top="from headwater.errors import Conflict, SchemaMismatch")
    assert found == [refused, refused, 1]


def test_a_refused_call_that_the_handler_does_not_catch_fails_it_without_telling_why(tmp_path: Path) -> None:
    with working(
        tmp_path, {"steps/x_step.py": step("X", "await ctx.streams.chat.set('g', '1', {'refuse': 1})")}
    ) as worker:
        error = worker.run_step("X").header["error"]
    assert error["code"] == "HANDLER_FAILED"
    assert "schema" not in error["message"].lower()
    assert "The data breaks the schema" in error["traceback"]
    assert "refuse: is not allowed" in error["traceback"]


@pytest.mark.parametrize("how", ["{}", "asyncio.create_task({})", "asyncio.ensure_future({})"])
def test_a_refused_call_that_nobody_awaits_is_one_log_line_with_its_place(tmp_path: Path, how: str) -> None:
    body = f"""
        call = ctx.streams.chat.set("g", "1", {{"refuse": True}})
        begun = [{how.format("call")}]
        while not begun[0].done():
            await asyncio.sleep(0.01)
        begun.clear()
        gc.collect()
        return {{"status": 204}}
    """
    with working(tmp_path, {"steps/x_step.py": step("X", body, top="import asyncio, gc")}) as worker:
        assert worker.run_step("X").header["status"] == 204
        worker.send(protocol.ping(1))
        worker.wait_for("pong")
        lines = [line.header for line in worker.of_type("log")]
        assert len(lines) == 1
        assert "never retrieved" not in lines[0]["message"]
        assert lines[0]["fields"]["file"] == str(tmp_path / "steps/x_step.py")
        assert lines[0]["fields"]["line"] == 5
        assert lines[0]["trace"] == "trace-1"
        worker.send(protocol.drain())
        assert "never retrieved" not in worker.output()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{}, '1', {}", "group id is text"),
        ("'g', None, {}", "item id is text"),
        ("'g', '1', {}, if_version='1'", "if_version"),
        ("'g', '1', {'when': {1, object()}}", "data.when"),
        ("'g', '1', {'b': b'x'}", "base64"),
        ("'g', '1', {'call': ctx.streams.chat.get('g', '1')}", "`await` is missing"),
    ],
)
def test_wrong_arguments_fail_the_call_and_never_the_worker(
    tmp_path: Path, arguments: str, said: str
) -> None:
    body = f"""
        call = ctx.streams.chat.set({arguments})
        try:
            await call
            result = None
        except InvalidInput as error:
            result = error.message + error.hint
    """
    assert said in answer(tmp_path, body, top="from headwater.errors import InvalidInput")


def test_integers_and_uuids_are_taken_as_ids(tmp_path: Path) -> None:
    body = """
        u = uuid.UUID(int=1)
        result = [await ctx.streams.chat.set(7, u, {}), await ctx.streams.chat.get("7", str(u))]
    """
    item = {"id": "00000000-0000-0000-0000-000000000001"}
    assert answer(tmp_path, body, top="import uuid") == [item, item]


def test_items_are_dicts_with_a_version_that_survive_what_people_do_with_dicts(tmp_path: Path) -> None:
    body = """
        item = await ctx.streams.chat.set("g", "1", {"n": 1, "version": "mine"})
        for twin in (copy.copy(item), copy.deepcopy(item), pickle.loads(pickle.dumps(item))):
            assert twin == item and twin.version == 1 and twin.group == "g" and twin.stream == "chat"
        assert json.loads(json.dumps(item)) == json.loads(orjson.dumps(item)) == {**item} == dict(item)
        assert Model.model_validate(item).n == 1 and Model(**item).id == "1"
        assert TypeAdapter(dict[str, object]).validate_python(item) == item
        item["n"] += 1
        again = await ctx.streams.chat.set("g", "1", item)
        result = [again, again.version, isinstance(again, dict), again["version"]]
    """
    top = """
        import copy, json, orjson, pickle
        from pydantic import BaseModel, TypeAdapter
        class Model(BaseModel):
            id: str
            n: int
    """
    assert answer(tmp_path, body, top=top) == [{"id": "1", "n": 2, "version": "mine"}, 2, True, "mine"]


def test_models_and_odd_values_become_json_by_the_rules(tmp_path: Path) -> None:
    body = """
        item = await ctx.streams.chat.set("g", "1", Model(theId=1, when=dt.datetime(2024, 1, 2)))
        more = await ctx.streams.chat.set("g", "2", Data(1, [Model(theId=2, when=dt.datetime(2024, 1, 2))]))
        last = await ctx.streams.chat.set("g", "3", {
            "date": dt.date(2024, 1, 2), "time": dt.time(3, 4), "uuid": uuid.UUID(int=0), "set": {1},
            "enum": Color.RED, "tuple": (1, 2), "named": Pair(1, 2), "nan": float("nan"),
            "decimal": decimal.Decimal("1.50"), 1: "int key", None: "none key", Color.RED: "enum key",
            "mapping": types.MappingProxyType({"a": 1}), "deque": collections.deque([1]),
        })
        result = [item, more, last]
    """
    top = """
        import collections, dataclasses, datetime as dt, decimal, enum, types, typing, uuid
        from pydantic import BaseModel, Field
        class Color(enum.Enum):
            RED = "red"
        class Pair(typing.NamedTuple):
            a: int
            b: int
        class Model(BaseModel):
            the_id: int = Field(alias="theId")
            when: dt.datetime
        @dataclasses.dataclass
        class Data:
            n: int
            models: list
    """
    first, second, third = answer(tmp_path, body, top=top)
    assert first == {"id": "1", "theId": 1, "when": "2024-01-02T00:00:00"}
    assert second == {"id": "2", "n": 1, "models": [{"theId": 2, "when": "2024-01-02T00:00:00"}]}
    assert third == {
        "id": "3",
        "date": "2024-01-02",
        "time": "03:04:00",
        "uuid": "00000000-0000-0000-0000-000000000000",
        "set": [1],
        "enum": "red",
        "tuple": [1, 2],
        "named": [1, 2],
        "nan": None,
        "decimal": 1.5,
        "1": "int key",
        "null": "none key",
        "red": "enum key",
        "mapping": {"a": 1},
        "deque": [1],
    }


def test_integers_of_any_size_keep_their_digits_on_the_wire(tmp_path: Path) -> None:
    with working(
        tmp_path,
        {
            "steps/x_step.py": step(
                "X", "ctx.streams.chat.set('g', '1', {'n': 2**80})\nreturn {'status': 204}"
            )
        },
    ) as worker:
        worker.run_step("X")
        assert worker.of_type("call")[0].sections[0] == b'{"n":1208925819614629174706176}'


def test_unknown_streams_are_attribute_and_key_errors_too(tmp_path: Path) -> None:
    body = """
        result = [hasattr(ctx.streams, "chat"), hasattr(ctx.streams, "chatt"), "chatt" in ctx.streams]
        for use in (lambda: ctx.streams.chatt, lambda: ctx.streams["chatt"]):
            for kind in (AttributeError, KeyError, UnknownStream):
                try:
                    use()
                except kind as error:
                    result.append(str(error))
    """
    source = step(
        "X",
        f"{body}\n        return {{'status': 200, 'body': result}}",
        top="from headwater.errors import UnknownStream",
    )
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        worker.send(protocol.streams(["chat"]))
        found = body_of(worker.run_step("X"))
    assert found[:3] == [True, False, False]
    assert set(found[3:]) == {'There is no stream "chatt". Did you mean "chat"?'}
    assert len(found) == 9


# --- failing code ---


@pytest.mark.parametrize(
    "raised",
    ["SystemExit(3)", "KeyboardInterrupt()", "BaseException('x')", "StopIteration()", "GeneratorExit()"],
)
@pytest.mark.parametrize("plain", [False, True])
def test_whatever_a_handler_raises_fails_it_alone(tmp_path: Path, raised: str, plain: bool) -> None:
    files = {
        "steps/x_step.py": step("X", f"raise {raised}", plain=plain),
        "steps/w_step.py": step(
            "W", f"raise {raised}", plain=plain, top="async def a(req, ctx, next): return await next()"
        )
        + "\nconfig['middleware'] = [a]",
        "steps/y_step.py": step("Y", "return {'status': 204}"),
    }
    with working(tmp_path, files) as worker:
        for name in ("X", "W"):
            assert worker.run_step(name).header["error"]["code"] == "HANDLER_FAILED"
        assert worker.run_step("Y").header["ok"]


def test_a_task_that_exits_does_not_stop_the_loop(tmp_path: Path) -> None:
    body = """
        async def bad():
            raise SystemExit(1)
        asyncio.create_task(bad())
        await asyncio.sleep(0.05)
        return {"status": 204}
    """
    with working(tmp_path, {"steps/x_step.py": step("X", body, top="import asyncio")}) as worker:
        for _ in range(3):
            assert worker.run_step("X").header["ok"]


def test_a_traceback_shows_the_users_frames_alone_with_causes(tmp_path: Path) -> None:
    files = {
        "steps/x_step.py": step(
            "X",
            "try:\n    lib.fail()\nexcept ValueError as error:\n    raise RuntimeError('outer') from error",
            top="import lib",
        ),
        "steps/lib.py": "def fail():\n    raise ValueError('inner')\n",
    }
    with working(tmp_path, files) as worker:
        text = worker.run_step("X").header["error"]["traceback"]
    assert "headwater" not in text
    assert "asyncio" not in text
    assert text.index("ValueError: inner") < text.index("direct cause") < text.index("RuntimeError: outer")
    assert f'File "{tmp_path}/steps/lib.py", line 2, in fail' in text


def test_endless_recursion_fails_the_handler_with_a_bounded_traceback(tmp_path: Path) -> None:
    with working(tmp_path, {"steps/x_step.py": step("X", "return f()", top="def f(): return f()")}) as worker:
        error = worker.run_step("X").header["error"]
        assert len(error["traceback"]) < 70_000
        assert "RecursionError" in error["traceback"]


def test_a_response_that_forgot_an_await_says_so(tmp_path: Path) -> None:
    with working(
        tmp_path,
        {"steps/x_step.py": step("X", "return {'status': 200, 'body': ctx.streams.chat.get('g', '1')}")},
    ) as worker:
        error = worker.run_step("X").header["error"]
        assert "await" in error["hint"]


def test_access_functions_may_be_plain_and_one_that_is_no_function_is_a_problem(
    tmp_path: Path,
) -> None:
    files = {
        "steps/a_stream.py": "config = {'name': 'a'}\ndef canAccess(sub, auth): return auth is None\n",
        "steps/b_stream.py": "config = {'name': 'b', 'canAccess': lambda s, a: s['id'] is None}\n",
        "steps/c_stream.py": "config = {'name': 'c', 'schema': None}\ncan_access = 'no'\n",
        "steps/d_stream.py": "config = {'name': 'd', 'canWrite': True}\ndef can_write(change, auth): ...\n",
    }
    with working(tmp_path, files) as worker:
        assert worker.ask_access("a", group="g").header["allowed"] is True
        assert worker.ask_access("a", group="g", auth=1).header["allowed"] is False
        assert worker.ask_access("b", group="g").header["allowed"] is True
        assert worker.ask_access("b", group="g", item="1").header["allowed"] is False
        problems = [(one["file"], one["code"]) for one in worker.manifest.header["problems"]]
        assert problems == [(f"steps/{name}_stream.py", "CONFIG_NOT_JSON") for name in "cd"]


# --- what the files declare ---


def problems(root: Path, files: dict[str, str]) -> dict[str, dict[str, Any]]:
    with working(root, files) as worker:
        return {problem["involved"][0]: problem for problem in worker.manifest.header["problems"]}


def test_models_in_a_config_become_json_schema(tmp_path: Path) -> None:
    source = """
        import enum
        from typing import Optional
        from pydantic import BaseModel, Field, TypeAdapter
        class Model(BaseModel):
            user_id: int = Field(alias="userId")
        config = {"type": "api", "name": "X", "path": "/", "method": "POST", "emits": (),
                  "bodySchema": Model, "input": TypeAdapter(list[Model]),
                  "responseSchema": {200: list[Model], "400": {"type": "object", "properties": {"m": Model}}}}
        async def handler(req, ctx): ...
    """
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        (entry,) = worker.manifest.header["steps"]
    config = entry["config"]
    assert config["bodySchema"]["properties"]["userId"]["type"] == "integer"
    assert config["input"]["type"] == "array"
    assert config["responseSchema"]["200"]["type"] == "array"
    assert config["responseSchema"]["400"]["properties"]["m"]["title"] == "Model"
    assert config["emits"] == []
    assert entry["line"] == 7


def test_each_fault_of_a_config_is_a_problem_of_its_own_code(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "steps/a_step.py": "config = []",
            "steps/b_step.py": "config = {'type': 'api'}\nhandler = 3",
            "steps/c_step.py": "config = {'type': 'noop', 'x': object()}",
            "steps/d_step.py": "config = {'type': 'noop', 'middleware': [1]}",
            "steps/e_step.py": "config = {'type': 'noop', 's': type('Odd', (), {})}",
            "steps/f_step.py": "config = {'type': 'noop'}\nconfig['self'] = config",
            "steps/g_stream.py": "\n\nconfig: dict = {'name': 'g', 'schema': {'x': b'1'}}",
            "steps/h_step.py": "class D(dict):\n    def items(self): raise OSError\nconfig = D(type='noop')",
            "steps/fine_step.py": "config = {'type': 'noop', 'name': 'Fine'}",
        },
    )
    assert {path: problem["code"] for path, problem in found.items()} == {
        "steps/a_step.py": "CONFIG_MISSING",
        "steps/b_step.py": "HANDLER_MISSING",
        "steps/c_step.py": "CONFIG_NOT_JSON",
        "steps/d_step.py": "CONFIG_NOT_JSON",
        "steps/e_step.py": "SCHEMA_NOT_CONVERTIBLE",
        "steps/f_step.py": "CONFIG_NOT_JSON",
        "steps/g_stream.py": "CONFIG_NOT_JSON",
        "steps/h_step.py": "CONFIG_NOT_JSON",
    }
    assert "config.x" in found["steps/c_step.py"]["message"]
    assert "config.middleware[0]" in found["steps/d_step.py"]["message"]
    assert "config.s" in found["steps/e_step.py"]["message"]
    assert found["steps/g_stream.py"]["line"] == 3
    assert "config.schema.x" in found["steps/g_stream.py"]["message"]


def test_functions_that_do_not_take_what_they_get_are_told_and_run_all_the_same(tmp_path: Path) -> None:
    api, event = "{'type': 'api', 'name': 'A', 'middleware': [outer]}", "{'type': 'event', 'name': 'E'}"
    files = {
        "steps/a_step.py": f"""
            async def outer(req, ctx): ...
            config = {api}
            async def handler(req): ...
        """,
        "steps/cron_step.py": "config = {'type': 'cron'}\ndef handler(_, ctx): ...",
        "steps/e_step.py": f"config = {event}\ndef condition(input): ...\nclass H:\n"
        "    def __call__(self, input, ctx, *, log=None): ...\nhandler = H()",
        "steps/fine_step.py": "import functools\nconfig = {'type': 'api'}\ndef log(function):\n"
        "    @functools.wraps(function)\n    async def inner(*all): return await function(all[0])\n"
        "    return inner\n@log\nasync def handler(req): ...",
    }
    with working(tmp_path, {path: textwrap.dedent(source) for path, source in files.items()}) as worker:
        found = worker.manifest.header["problems"]
        assert {(one["code"], one["level"]) for one in found} == {("HANDLER_ARGUMENTS", "warning")}
        assert [(one["file"], one["line"], one["message"], one["hint"]) for one in found] == [
            (
                "steps/a_step.py",
                2,
                "config.middleware[0] is called with (req, ctx, next), and takes (req, ctx).",
                "Write `async def function(req, ctx, next)`.",
            ),
            (
                "steps/a_step.py",
                4,
                "handler is called with (req, ctx), and takes (req).",
                "Write `async def handler(req, ctx)`.",
            ),
            (
                "steps/cron_step.py",
                2,
                "handler is called with (ctx), and takes (_, ctx).",
                "Write `async def handler(ctx)`.",
            ),
            (
                "steps/e_step.py",
                2,
                "condition is called with (input, ctx), and takes (input).",
                "Write `async def condition(input, ctx)`.",
            ),
        ]
        assert len(worker.manifest.header["steps"]) == 4
        traceback = worker.run_step("A", {}).header["error"]["traceback"]
        assert "Headwater calls it with (req, ctx)" in traceback


def test_each_way_an_import_can_fail_is_reported_with_its_place(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "steps/a_step.py": "\nimport lib\n",
            "steps/lib.py": "x = 1\ndef f(:\n",
            "steps/b_step.py": "raise KeyboardInterrupt",
            "steps/c_step.py": "def f(): f()\nf()",
            "steps/d_step.py": "from old import gone",
            "steps/old.py": "",
            "steps/e_step.py": "import old\nold.gone",
            "steps/f_step.py": "x = 1\n\x00",
            "steps/g_step.py": b"x = '\xff'",
            "steps/h_step.py": "import os\nraise OSError(2, 'no such thing', 'data.csv')",
            "steps/i_step.py": "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
            "steps/j_step.py": "x = 1\n  y = 2\n",
        },
    )
    places = {path: (p["code"], p["file"], p.get("line")) for path, p in found.items()}
    assert places["steps/a_step.py"] == ("SYNTAX_ERROR", "steps/lib.py", 2)
    assert found["steps/a_step.py"]["involved"] == ["steps/a_step.py", "steps/lib.py"]
    assert places["steps/b_step.py"] == ("IMPORT_FAILED", "steps/b_step.py", 1)
    assert places["steps/c_step.py"][:2] == ("IMPORT_FAILED", "steps/c_step.py")
    assert places["steps/d_step.py"] == ("IMPORT_FAILED", "steps/d_step.py", 1)
    assert found["steps/d_step.py"]["involved"] == ["steps/d_step.py", "steps/old.py"]
    assert places["steps/e_step.py"] == ("IMPORT_FAILED", "steps/e_step.py", 2)
    assert found["steps/e_step.py"]["involved"] == ["steps/e_step.py", "steps/old.py"]
    line = found["steps/a_step.py"]["traceback"].splitlines()
    assert [part.strip() for part in line[1:]] == ["def f(:", "^"]
    assert places["steps/f_step.py"][1] == "steps/f_step.py"
    assert places["steps/g_step.py"][:2] == ("SYNTAX_ERROR", "steps/g_step.py")
    assert places["steps/h_step.py"] == ("IMPORT_FAILED", "steps/h_step.py", 2)
    assert "Odd" in found["steps/i_step.py"]["message"]
    assert places["steps/j_step.py"] == ("SYNTAX_ERROR", "steps/j_step.py", 2)
    assert len(found) == 10


def test_a_missing_import_says_what_to_do(tmp_path: Path) -> None:
    files = {
        "steps/a_step.py": "import surely_missing.deep",
        "steps/b_step.py": "from lib.missing import x",
        "steps/lib.py": "",
        "steps/m_step.py": "from motia import queue",
    }
    found = problems(tmp_path, files)
    assert "Nothing of it is needed" in found["steps/m_step.py"]["hint"]
    assert '"surely_missing"' in found["steps/a_step.py"]["hint"]
    assert "install" in found["steps/a_step.py"]["hint"]
    assert "install" not in found["steps/b_step.py"]["hint"]


def test_a_file_may_use_asyncio_while_it_is_imported(tmp_path: Path) -> None:
    source = "import asyncio\nasync def get(): return 5\nvalue = asyncio.run(get())\nlock = asyncio.Lock()\n"
    body = "async with lock:\n    return {'status': 200, 'body': value}"
    with working(tmp_path, {"steps/x_step.py": step("X", body, top=source)}) as worker:
        assert body_of(worker.run_step("X")) == 5


# --- logs and the process ---


def test_the_logging_module_speaks_with_trace_and_step(tmp_path: Path) -> None:
    top = """
        import asyncio, logging
        log = logging.getLogger("my.module")
    """
    body = """
        log.debug("not shown")
        log.info("hello %s", "you")
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("it failed")
        async def child():
            log.warning("from a child task")
        await asyncio.create_task(child())
        await asyncio.to_thread(log.error, "from a thread")
        log.info("%d", "not a number")
        return {"status": 204}
    """
    with working(tmp_path, {"steps/x_step.py": step("X", body, top=top)}) as worker:
        worker.run_step("X")
        lines = [line.header for line in worker.of_type("log")]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "hello you"),
        ("error", "it failed"),
        ("warn", "from a child task"),
        ("error", "from a thread"),
        ("info", "'%d' % ('not a number',)"),
    ]
    assert {(line["trace"], line["step"]) for line in lines} == {("trace-1", "X")}
    assert lines[0]["fields"] == {"logger": "my.module"}
    assert "ZeroDivisionError" in lines[1]["fields"]["traceback"]


def test_the_logger_takes_what_people_give_it(tmp_path: Path) -> None:
    body = """
        ctx.logger.info({"a": 1})
        ctx.logger.warning("w", {"set": {1}, 2: "two", "error": ValueError("x")}, extra=5)
        ctx.logger.info("text", "not a dict")
        ctx.logger.info("x" * 1_000_000, {"y": "y" * 1_000_000})
        ctx.logger.info("lone \\ud800")
        return {"status": 204}
    """
    with working(
        tmp_path, {"steps/x_step.py": step("X", body)}, {protocol.LIMIT_VARIABLE: "100000"}
    ) as worker:
        assert worker.run_step("X").header["ok"]
        lines = [line.header for line in worker.of_type("log")]
    assert lines[0]["message"] == "{'a': 1}"
    assert lines[1]["level"] == "warn"
    assert lines[1]["fields"] == {"set": "{1}", "2": "two", "error": "ValueError: x", "extra": 5}
    assert lines[2]["fields"] == {"value": "not a dict"}
    assert "cut" in lines[3]["fields"]
    assert lines[4]["message"] == "lone \ufffd"


def test_a_forked_child_does_not_keep_the_socket_open(tmp_path: Path) -> None:
    body = """
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        return {"status": 200, "body": child}
    """
    with working(tmp_path, {"steps/x_step.py": step("X", body, top="import os, time")}) as worker:
        child = body_of(worker.run_step("X"))
        try:
            worker.process.kill()
            assert worker.read(SOON) is None
        finally:
            os.kill(child, 9)


def test_work_can_be_given_to_forked_processes(tmp_path: Path) -> None:
    top = """
        import asyncio, concurrent.futures, multiprocessing
        def double(number): return number * 2
    """
    body = """
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            result = await asyncio.get_running_loop().run_in_executor(pool, double, 21)
    """
    assert answer(tmp_path, body, top=top) == 42


def test_what_user_code_starts_does_not_inherit_the_socket(tmp_path: Path) -> None:
    body = """
        process = await asyncio.create_subprocess_exec("sleep", "30")
        result = process.pid
    """
    source = step("X", f"{body}\n        return {{'status': 200, 'body': result}}", top="import asyncio")
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        child = body_of(worker.run_step("X"))
        try:
            worker.process.kill()
            assert worker.read(SOON) is None
        finally:
            os.kill(child, 9)


def test_a_drained_worker_runs_exit_functions_and_flushes_output(tmp_path: Path) -> None:
    top = "import atexit\natexit.register(print, 'goodbye', end='')\nprint('loaded', end='')"
    with working(tmp_path, {"steps/x_step.py": step("X", "return {'status': 204}", top=top)}) as worker:
        worker.send(protocol.drain())
        assert worker.output() == "loadedgoodbye"
        assert worker.process.returncode == 0


def test_a_drained_worker_does_not_wait_for_tasks_and_threads_left_behind(tmp_path: Path) -> None:
    top = "import asyncio, threading, time\ntasks = []"
    body = """
        async def forever():
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
        tasks.append(asyncio.create_task(forever()))
        threading.Thread(target=time.sleep, args=(60,)).start()
        return {"status": 204}
    """
    with working(tmp_path, {"steps/x_step.py": step("X", body, top=top)}) as worker:
        worker.run_step("X")
        worker.send(protocol.drain())
        assert worker.process.wait(PATIENCE) == 0


def test_the_working_folder_is_the_projects_root(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("here")
    assert answer(tmp_path, "result = open('data.txt').read()") == "here"


def test_the_worker_imports_no_part_of_the_server(tmp_path: Path) -> None:
    body = """
        loaded = {name.partition(".")[0] for name in sys.modules}
        result = sorted(loaded & {"starlette", "uvicorn", "typer", "rich", "apsw", "websockets", "pydantic"})
    """
    assert answer(tmp_path, body, top="import sys") == []


def test_a_file_at_the_root_named_like_a_stdlib_module_does_not_break_the_worker(tmp_path: Path) -> None:
    (tmp_path / "logging.py").write_text("raise RuntimeError")
    files = {
        "logging.py": "raise RuntimeError",
        "steps/x_step.py": step("X", "return {'status': 204}", top="import logging"),
    }
    with working(tmp_path, files) as worker:
        assert worker.run_step("X").header["ok"]


# --- blocking ---


def test_blocking_in_a_child_task_is_blamed_on_its_invocation(tmp_path: Path) -> None:
    top = "import asyncio, time"
    body = """
        async def child():
            await asyncio.sleep(0.01)
            time.sleep(0.6)
        await asyncio.create_task(child())
        return {"status": 204}
    """
    files = {
        "steps/x_step.py": step("X", body, top=top),
        "steps/y_step.py": step("Y", "await asyncio.sleep(1)\nreturn {'status': 204}", top=top),
    }
    with working(tmp_path, files, {protocol.BLOCK_AFTER_VARIABLE: "0.05"}) as worker:
        waiting = worker.call_step("Y")
        number = worker.call_step("X")
        worker.wait_for("result", waiting)
        assert [(message.header["id"], message.header["step"]) for message in worker.of_type("blocked")] == [
            (number, "X")
        ]


def test_async_code_that_computes_is_blocking_and_plain_code_lets_others_through(tmp_path: Path) -> None:
    files = {
        "steps/x_step.py": step(
            "X",
            "end = time.monotonic() + 2\nwhile time.monotonic() < end: pass\nreturn {'status': 204}",
            top="import time",
        ),
        "steps/y_step.py": step("Y", "return {'status': 204}"),
        "steps/z_step.py": step(
            "Z",
            "end = time.monotonic() + 2\nwhile time.monotonic() < end: pass",
            top="import time",
            plain=True,
        ),
    }
    with working(tmp_path, files) as worker:
        blocking = worker.call_step("X")
        worker.wait_for("blocked", blocking)
        worker.wait_for("result", blocking)
        blocking = worker.call_step("Z")
        worker.wait_for("started", blocking)
        for _ in range(5):
            worker.run_step("Y")
        assert not [message for message in worker.of_type("result") if message.header["id"] == blocking]
        worker.wait_for("result", blocking)


def test_many_short_steps_are_not_taken_for_blocking(tmp_path: Path) -> None:
    body = """
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            await asyncio.sleep(0)
        return {"status": 204}
    """
    with working(
        tmp_path,
        {"steps/x_step.py": step("X", body, top="import asyncio, time")},
        {protocol.BLOCK_AFTER_VARIABLE: "0.1"},
    ) as worker:
        numbers = {worker.call_step("X") for _ in range(10)}
        worker.wait_for_all("result", numbers)
        assert worker.of_type("blocked") == []
