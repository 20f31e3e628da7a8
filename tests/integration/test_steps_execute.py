"""API steps in real workers: requests in, responses out, failures told, access asked."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.config import Settings
from headwater.errors import HandlerFailed, SchemaMismatch
from headwater.model import Origin
from support.steps_project import Site, api, serving, stream

BODY_SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "author": {"type": "object", "properties": {"age": {"type": "integer"}}},
    },
    "required": ["text", "room"],
}
CHAT = {"steps/chat_stream.py": stream("chat")}


def validating(root: Path, mode: Any) -> Settings:
    settings = Settings(project=root)
    return replace(settings, steps=replace(settings.steps, validation=mode))


async def answer(root: Path, body: str, sent: Any = None, **more: Any) -> Any:
    """What one step answers, in a project of its own."""
    async with serving(root, {**CHAT, "steps/a_step.py": api("/a", body, **more)}) as site:
        return await site.post("/a", sent if sent is not None else {})


# --- requests and responses ---


async def test_a_step_answers_with_json_and_its_headers(tmp_path: Path) -> None:
    body = "return {'status': 201, 'body': {'got': req['body']}, 'headers': {'X-A': 'b'}}"
    response = await answer(tmp_path, body, {"n": 1})

    assert response.status == 201
    assert response.headers == [("content-type", "application/json"), ("x-a", "b")]
    assert response.body == b'{"got":{"n":1}}'


async def test_a_step_sees_the_whole_request(tmp_path: Path) -> None:
    body = """
    parts = ("pathParams", "queryParams", "headers", "body")
    return {"status": 200, "body": {part: req[part] for part in parts}}
    """
    async with serving(tmp_path, {"steps/a_step.py": api("/a/:id", body)}) as site:
        seen = await site.json(
            "/a/:id",
            {"n": 1},
            path_params={"id": "ü/1"},
            query={"q": ["1", "2"]},
            headers={"x-y": "z"},
        )
    assert seen == {
        "pathParams": {"id": "ü/1"},
        "queryParams": {"q": ["1", "2"]},
        "headers": {"x-y": "z"},
        "body": {"n": 1},
    }


async def test_a_form_arrives_parsed_and_raw(tmp_path: Path) -> None:
    body = "return {'status': 200, 'body': {'body': req['body'], 'raw': req['rawBody']}}"
    async with serving(tmp_path, {"steps/a_step.py": api("/a", body)}) as site:
        seen = await site.json("/a", {}, body_kind="inline", body={"n": "1"}, raw_body=b"n=1")
    assert seen == {"body": {"n": "1"}, "raw": "n=1"}


async def test_text_and_bytes_go_out_raw_with_a_content_type_of_their_own(tmp_path: Path) -> None:
    files = {
        "steps/a_step.py": api("/text", "return {'status': 200, 'body': 'grüß'}"),
        "steps/b_step.py": api("/bytes", "return {'status': 200, 'body': b'\\x00\\xff'}"),
        "steps/c_step.py": api("/none", "return {'status': 204}"),
        "steps/d_step.py": api(
            "/own", "return {'status': 200, 'body': '<b>', 'headers': {'Content-Type': 'text/html'}}"
        ),
    }
    async with serving(tmp_path, files) as site:
        text, raw, none, own = [await site.post(path) for path in ("/text", "/bytes", "/none", "/own")]
    assert (text.headers, text.body) == (
        [("content-type", "text/plain; charset=utf-8")],
        "grüß".encode(),
    )
    assert (raw.headers, raw.body) == ([("content-type", "application/octet-stream")], b"\x00\xff")
    assert (none.status, none.headers, none.body) == (204, [], b"")
    assert own.headers == [("content-type", "text/html; charset=utf-8")]


async def test_stream_items_in_the_body_are_named_in_a_header_and_the_body_stays_clean(
    tmp_path: Path,
) -> None:
    body = """
    one = await ctx.streams.chat.set("a/b, c", "x@y", {"text": "hi"})
    two = await ctx.streams.chat.set("a/b, c", "ü", {"text": "ho"})
    return {"status": 200, "body": {"items": [one, two]}}
    """
    response = await answer(tmp_path, body)

    named = dict(response.headers)["x-headwater-items"]
    assert named == "chat/a%2Fb%2C%20c/x%40y@1, chat/a%2Fb%2C%20c/%C3%BC@2"
    assert response.body == '{"items":[{"text":"hi","id":"x@y"},{"text":"ho","id":"ü"}]}'.encode()


async def test_middleware_runs_around_the_handler(tmp_path: Path) -> None:
    source = """
async def first(req, ctx, next):
    req["user"] = "ada"
    response = await next()
    response["headers"] = {"x-seen": "yes"}
    return response

config = {"type": "api", "name": "a", "path": "/a", "method": "POST", "emits": [], "middleware": [first]}

async def handler(req, ctx):
    return {"status": 200, "body": {"user": req["user"]}}
"""
    async with serving(tmp_path, {"steps/a_step.py": source}) as site:
        assert site.step("/a").middleware == 1
        response = await site.post("/a", {})
    assert (response.body, dict(response.headers)["x-seen"]) == (b'{"user":"ada"}', "yes")


# --- validation ---


async def test_a_body_that_breaks_its_schema_is_refused_with_every_field_at_fault(tmp_path: Path) -> None:
    body = "return {'status': 200}"
    files = {"steps/a_step.py": api("/a", body, bodySchema=BODY_SCHEMA)}
    async with serving(tmp_path, files) as site:
        with pytest.raises(SchemaMismatch) as caught:
            await site.post("/a", {"text": 3, "author": {"age": "old"}})
        assert {fault.field for fault in caught.value.faults} == {"text", "author.age", "room"}
        assert caught.value.status == 400
        with pytest.raises(SchemaMismatch, match="text"):
            await site.post("/a")
        assert (await site.post("/a", {"text": "hi", "room": 1})).status == 200


async def test_validation_can_only_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {"steps/a_step.py": api("/a", "return {'status': 200}", bodySchema=BODY_SCHEMA)}
    async with serving(tmp_path, files, settings=validating(tmp_path, "warn")) as site:
        assert (await site.post("/a", {"text": "hi"})).status == 200
    (record,) = [one for one in caplog.records if "bodySchema" in one.message]
    assert (record.levelname, record.name, vars(record)["step"]) == ("WARNING", "headwater.steps", "a")
    assert set(vars(record)["fields"]["faults"]) == {"room"}


async def test_validation_can_be_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {"steps/a_step.py": api("/a", "return {'status': 200}", bodySchema=BODY_SCHEMA)}
    async with serving(tmp_path, files, settings=validating(tmp_path, "off")) as site:
        assert (await site.post("/a", {})).status == 200
    assert "bodySchema" not in caplog.text


async def test_a_get_without_a_body_is_not_held_against_a_body_schema(tmp_path: Path) -> None:
    files = {"steps/a_step.py": api("/a", "return {'status': 200}", method="GET", bodySchema=BODY_SCHEMA)}
    async with serving(tmp_path, files) as site:
        assert (await site.post("/a")).status == 200


@pytest.mark.parametrize("dev", [True, False])
async def test_a_response_that_breaks_its_schema_warns_in_dev_and_goes_out_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dev: bool
) -> None:
    schema = {200: {"type": "object", "properties": {"n": {"type": "integer"}}}}
    files = {
        "steps/a_step.py": api("/a", "return {'status': 200, 'body': {'n': 'x'}}", responseSchema=schema)
    }
    async with serving(tmp_path, files, dev=dev) as site:
        response = await site.post("/a", {})
    assert (response.status, response.body) == (200, b'{"n":"x"}')
    warned = [one for one in caplog.records if 'responseSchema[200] of "a": n:' in one.message]
    assert len(warned) == (1 if dev else 0)


# --- failures ---


async def test_a_handler_that_raises_is_told_by_trace_and_logged_with_its_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = "def inner():\n    raise ValueError('secret')\ninner()"
    files = {"steps/a_step.py": api("/a", body)}
    async with serving(tmp_path, files) as site:
        with pytest.raises(HandlerFailed) as caught:
            await site.post("/a", {}, trace="t-1")
    told = caught.value.to_dict()
    assert told["trace"] == "t-1"
    assert "secret" not in str(told)
    assert "Traceback" not in str(told)
    (record,) = [one for one in caplog.records if vars(one).get("trace") == "t-1"]
    assert (record.levelno, vars(record)["step"]) == (logging.ERROR, "a")
    assert "ValueError: secret" in vars(record)["traceback"]
    assert "steps/a_step.py" in vars(record)["traceback"]
    assert vars(record)["fields"] == {"file": "steps/a_step.py", "reason": "ValueError: secret"}


async def test_in_dev_the_error_names_the_exception(tmp_path: Path) -> None:
    files = {"steps/a_step.py": api("/a", "raise ValueError('why')")}
    async with serving(tmp_path, files, dev=True) as site:
        with pytest.raises(HandlerFailed) as caught:
            await site.post("/a", {})
    assert caught.value.details["error"] == "ValueError: why"


@pytest.mark.parametrize(
    "returned",
    [
        "None",
        "'text'",
        "{'status': 'ok'}",
        "{'status': 99}",
        "{'status': 200, 'headers': {'x': 'a\\r\\nb: c'}}",
        "{'status': 200, 'headers': {'a b': 'c'}}",
        "{'status': 200, 'headers': {'x': 'ü→'}}",
        "{'status': 200, 'body': object()}",
    ],
)
async def test_an_answer_that_is_no_response_is_a_failure_of_the_handler(
    tmp_path: Path, returned: str
) -> None:
    with pytest.raises(HandlerFailed):
        await answer(tmp_path, f"return {returned}")


async def test_headers_that_only_the_server_can_know_are_dropped(tmp_path: Path) -> None:
    body = """
    headers = {"Content-Length": "3", "Transfer-Encoding": "chunked"}
    return {"status": 200, "body": {}, "headers": headers}
    """
    assert (await answer(tmp_path, body)).headers == [("content-type", "application/json")]


async def test_a_header_may_be_given_several_times(tmp_path: Path) -> None:
    body = "return {'status': 200, 'headers': {'Set-Cookie': ['a=1', 'b=2']}}"
    assert (await answer(tmp_path, body)).headers[-2:] == [("set-cookie", "a=1"), ("set-cookie", "b=2")]


async def test_logs_of_user_code_carry_step_trace_and_fields(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = "ctx.logger.warn('careful', {'n': 1})\nreturn {'status': 200}"
    with caplog.at_level("DEBUG", "headwater.user"):
        async with serving(tmp_path, {"steps/a_step.py": api("/a", body)}) as site:
            await site.post("/a", {}, trace="t-2")
    (record,) = [one for one in caplog.records if one.message == "careful"]
    known = vars(record)
    assert (record.name, record.levelname) == ("headwater.user", "WARNING")
    assert (known["step"], known["trace"], known["fields"]) == ("a", "t-2", {"n": 1})


# --- calls ---


async def test_calls_of_one_invocation_take_effect_in_order_and_reads_see_earlier_writes(
    tmp_path: Path,
) -> None:
    body = """
    for n in range(50):
        ctx.streams.chat.set("g", str(n), {"text": n})
    ctx.streams.chat.delete("g", "0")
    seen = await ctx.streams.chat.get_group("g")
    before = ctx.streams.chat.get("g", "1")
    ctx.streams.chat.set("g", "1", {"text": "later"})
    return {"status": 200, "body": {"count": len(seen), "before": (await before)["text"]}}
    """
    async with serving(tmp_path, {**CHAT, "steps/a_step.py": api("/a", body)}) as site:
        assert await site.json("/a", {}) == {"count": 49, "before": 1}
        assert site.streams.texts("g") == [*range(50), "later"]


async def test_writes_carry_the_step_and_the_trace(tmp_path: Path) -> None:
    body = "ctx.streams.chat.set('g', 'x', {'text': 1})\nreturn {'status': 200}"
    async with serving(tmp_path, {**CHAT, "steps/a_step.py": api("/a", body)}) as site:
        await site.post("/a", {}, trace="t-3")
        (entry,) = site.streams.diary
    assert entry.origin == Origin("a", "t-3")


async def test_calls_that_outlive_their_invocation_still_take_effect(tmp_path: Path) -> None:
    body = """
    async def later():
        await asyncio.sleep(0.05)
        await ctx.streams.chat.set("g", "late", {"text": "late"})
    TASKS.append(asyncio.create_task(later()))
    return {"status": 200}
    """
    files = {**CHAT, "steps/a_step.py": api("/a", body, top="import asyncio\nTASKS = []")}
    async with serving(tmp_path, files) as site:
        await site.post("/a", {}, trace="t-4")
        await site.streams.until(lambda: site.streams.texts("g") == ["late"])
        assert site.streams.diary[0].origin == Origin("a", "t-4")


async def test_a_failed_call_raises_in_user_code_with_its_own_class(tmp_path: Path) -> None:
    body = """
    try:
        await ctx.streams.chat.set("g", "x", {"text": 1})
    except UnknownStream as error:
        return {"status": 200, "body": {"code": error.code}}
    """
    files = {**CHAT, "steps/a_step.py": api("/a", body, top="from headwater.errors import UnknownStream")}
    async with serving(tmp_path, files) as site:
        site.streams.unknown.add("chat")
        assert await site.json("/a", {}) == {"code": "STREAM_UNKNOWN"}


# --- access ---


def guarded(rule: str, *, top: str = "") -> dict[str, str]:
    return {
        "steps/chat_stream.py": stream("chat", f"{top}\ndef can_access(subscription, auth):\n    {rule}\n"),
        "steps/open_stream.py": stream("open"),
    }


async def test_an_access_function_is_asked_with_the_subscription_and_who_asks(tmp_path: Path) -> None:
    rule = "return subscription['groupId'] == auth['room'] and subscription['id'] is None"
    async with serving(tmp_path, guarded(rule)) as site:
        who = b'{"room": "g"}'
        assert await site.runtime.access("chat", "g", None, who)
        assert not await site.runtime.access("chat", "g", "item", who)
        assert not await site.runtime.access("chat", "other", None, who)


async def test_a_stream_without_a_rule_is_open_and_an_unknown_one_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, guarded("return False")) as site:
        assert await site.runtime.access("open", "g", None, None)
        assert not await site.runtime.access("nowhere", "g", None, None)


@pytest.mark.parametrize(
    "rule",
    [
        "raise ValueError('no')",
        "return 'yes'",
        "return 1",
        "return None",
        "return {'allowed': True}",
        "import os; os._exit(1)",
        "import time; time.sleep(60)",
    ],
)
async def test_access_is_refused_when_anything_is_wrong(tmp_path: Path, rule: str) -> None:
    async with serving(tmp_path, guarded(rule), access_timeout=0.5) as site:
        assert await site.runtime.access("chat", "g", None, None) is False


async def test_an_answer_that_is_neither_true_nor_false_is_explained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for answer, said in (("1", "a value of type int"), ("None", "nothing")):
        folder = tmp_path / said
        folder.mkdir()
        async with serving(folder, guarded(f"return {answer}")) as site:
            assert await site.runtime.access("chat", "g", None, None) is False
        line = next(record for record in caplog.records if "neither true nor false" in record.getMessage())
        assert f"can_access gave {said}" in line.getMessage()
        assert line.fields["file"] == "steps/chat_stream.py"  # type: ignore[attr-defined]
        caplog.clear()
    async with serving(tmp_path, guarded("return False")) as site:
        assert await site.runtime.access("chat", "g", None, None) is False
    assert not [record for record in caplog.records if "can_access" in record.getMessage()]


async def test_each_verb_is_asked_of_its_own_function(tmp_path: Path) -> None:
    rules = """
can_write = True
def canDelete(change, auth):
    return change["old"] == {"by": auth["user"]}
def can_cancel(subscription, auth):
    return subscription["id"] == "a"
"""
    async with serving(tmp_path, {"steps/chat_stream.py": stream("chat", rules)}) as site:
        access, ada = site.runtime.access, b'{"user": "ada"}'
        assert await access("chat", "g", "a", None, "write")
        assert await access("chat", "g", "a", ada, "delete", b'{"old": {"by": "ada"}}')
        assert not await access("chat", "g", "a", ada, "delete", b'{"old": {"by": "bob"}}')
        assert not await access("chat", "g", None, None, "send", b"{}")
        assert await access("chat", "g", "a", None, "cancel")
        assert not await access("chat", "g", "b", None, "cancel")


async def test_an_access_function_that_waits_too_long_is_cancelled(tmp_path: Path) -> None:
    rule = "async def can_access(subscription, auth):\n    await asyncio.sleep(60)\n    return True\n"
    files = {"steps/chat_stream.py": stream("chat", f"import asyncio\n{rule}")}
    async with serving(tmp_path, files, access_timeout=0.2) as site:
        assert not await site.runtime.access("chat", "g", None, None)
        await _idle(site)


async def test_an_auth_value_that_is_no_json_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, guarded("return True")) as site:
        assert await site.runtime.access("chat", "g", None, None)
        assert not await site.runtime.access("chat", "g", None, b"{")


async def _idle(site: Site) -> None:
    async with asyncio.timeout(60):
        while any(worker.running for worker in site.pool.workers):
            await asyncio.sleep(0.01)
