"""State through real workers: steps of both languages, old files as they are, a store that lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.config import ServerSettings, Settings
from headwater.lifetime import running
from support.node_site import step as node_step
from support.node_worker import node_worker
from support.steps_project import api, write


@asynccontextmanager
async def site(root: Path, files: dict[str, str], **steps: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A server over a project of these files, with a store on the disk, and a client for it."""
    write(root, files)
    settings = Settings(project=root, server=ServerSettings(port=0))
    settings = replace(
        settings, workers=replace(settings.workers, size=1), steps=replace(settings.steps, **steps)
    )
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, body: Any = None) -> Any:
    answer = await client.post(path, json={} if body is None else body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records if record.name == "headwater.user"]
    return [line for line in lines if "ctx.state.get()" in line]


# Files as they are found: each takes what `get` gives for something else.

WRAPPED = """
config = {"type": "api", "name": "Wrapped", "path": "/wrapped", "method": "POST", "emits": []}

async def handler(req, context):
    order_id = req.get("body").get("id")
    await context.state.set("orders", order_id, {"id": order_id, "status": "open", "items": [1]})
    stored = await context.state.get("orders", order_id)
    order = stored["data"]
    order["status"] = "paid"
    order["items"].append(2)
    await context.state.set("orders", order_id, order)
    stored = await context.state.get("orders", order_id)
    return {"status": 200, "body": {"order": stored["data"], "again": stored.get("data", {}).get("status")}}
"""

TOLERANT = """
config = {"type": "api", "name": "Tolerant", "path": "/tolerant", "method": "POST", "emits": []}

def unwrap(result):
    if isinstance(result, dict) and "data" in result:
        return result["data"]
    return result

async def handler(req, context):
    await context.state.set("users", "ada", {"name": "Ada"})
    user = unwrap(await context.state.get("users", "ada"))
    missing = unwrap(await context.state.get("users", "bob"))
    users = [unwrap(one) for one in await context.state.get_group("users")]
    return {"status": 200, "body": [user, missing, users, {**user}, user | {"more": 1}]}
"""

BARE = """
config = {"type": "api", "name": "Bare", "path": "/bare", "method": "POST", "emits": []}

async def handler(req, context):
    await context.state.set("carts", "c1", {"total": 5, "lines": []})
    cart = await context.state.get("carts", "c1")
    if not cart:
        return {"status": 404, "body": {"error": "not found"}}
    cart["total"] += 1
    await context.state.set("carts", "c1", cart)
    await context.state.set("carts", "c2", {"data": {"deep": True}})
    deep = await context.state.get("carts", "c2")
    carts = await context.state.getGroup("carts")
    return {"status": 200, "body": [cart["total"], deep["data"]["deep"], carts, cart.get("none", "default")]}
"""


async def test_old_files_find_what_they_look_for_and_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files = {"steps/a_step.py": WRAPPED, "steps/b_step.py": TOLERANT, "steps/c_step.py": BARE}
    files["steps/die_step.py"] = api("/die", "import os\nos._exit(1)")
    async with site(tmp_path, files) as client:
        for number in range(3):
            paid = {"id": f"o{number}", "status": "paid", "items": [1, 2]}
            assert await post(client, "/wrapped", {"id": f"o{number}"}) == {"order": paid, "again": "paid"}
            ada = {"name": "Ada"}
            answers = await post(client, "/tolerant")
            assert answers == [ada, None, [ada], ada, {"name": "Ada", "more": 1}]
            total, deep, carts, default = await post(client, "/bare")
            assert (total, deep, default) == (6, True, "default")
            assert carts == [{"total": 6, "lines": []}, {"data": {"deep": True}}]
            assert (await client.post("/die", json={})).status_code == 502  # The next worker is another one.
    lines = told(caplog)
    assert len(lines) == 2
    assert sorted("a_step.py:8)" in line or "b_step.py:5)" in line for line in lines) == [True, True]
    assert all("write value instead of" in line for line in lines)


async def test_a_setting_makes_it_a_dict_like_any_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"steps/a_step.py": WRAPPED, "steps/b_step.py": TOLERANT}
    async with site(tmp_path, files, state_data="plain") as client:
        assert (await client.post("/wrapped", json={"id": "o"})).status_code == 500
        assert (await post(client, "/tolerant"))[0] == {"name": "Ada"}
    assert told(caplog) == []


async def test_state_outlives_the_server(tmp_path: Path) -> None:
    files = {
        "steps/a_step.py": api("/put", "return {'status': 200, 'body': await ctx.state.set('g', 'k', [1])}"),
        "steps/b_step.py": api("/get", "return {'status': 200, 'body': [await ctx.state.get('g', 'k')]}"),
    }
    async with site(tmp_path, files) as client:
        assert await post(client, "/put") == [1]
    async with site(tmp_path, files) as client:
        assert await post(client, "/get") == [[1]]


ORDER = """
    for n in range(100):
        ctx.state.set("g", str(n), n)
        ctx.streams.notes.set("g", str(n), {"n": n})
    kept = await ctx.state.get_group("g")
    ctx.state.set("g", "late", True)
    ctx.state.clear("g")
    cleared = await ctx.state.get("g", "late")
    ctx.state.set("g", "k", 1)
    ctx.state.update("g", "k", [{"type": "increment", "path": "", "by": 2}])
    ctx.state.update("g", "refused", [{"type": "increment", "path": "", "by": "x"}])
    left = await ctx.state.list("g")
    return {"status": 200, "body": [kept == list(range(100)), cleared, left, await ctx.state.list()]}
"""
NOTES = "config = {'name': 'notes', 'schema': None}\n"


async def test_calls_take_effect_in_order_awaited_or_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"steps/notes_stream.py": NOTES, "steps/a_step.py": api("/a", ORDER)}
    async with site(tmp_path, files) as client:
        assert await post(client, "/a") == [True, None, [{"key": "k", "value": 3}], ["g"]]
    assert "A call of update that nobody awaited failed" in caplog.text


async def test_plain_code_asks_for_the_result(tmp_path: Path) -> None:
    body = """
    ctx.state.set("g", "n", 1)
    value = ctx.state.update("g", "n", [{"type": "increment", "path": ""}]).result()
    return {"status": 200, "body": [value, ctx.state.get("g", "n").result(timeout=20)]}
    """
    source = api("/a", body).replace("async def", "def")
    async with site(tmp_path, {"steps/a_step.py": source}) as client:
        assert await post(client, "/a") == [2, 2]


async def test_many_steps_count_together(tmp_path: Path) -> None:
    body = """
    n = await ctx.state.update(0, 1, [{"type": "increment", "path": "n"}])
    return {"status": 200, "body": n}
    """
    async with site(tmp_path, {"steps/a_step.py": api("/a", body)}) as client:
        answers = await asyncio.gather(*(post(client, "/a") for _ in range(60)))
    assert sorted(answer["n"] for answer in answers) == list(range(1, 61))


async def test_state_is_hidden_from_clients_and_steps(tmp_path: Path) -> None:
    body = "return {'status': 200, 'body': 'headwater.state' in ctx.streams}"
    async with site(tmp_path, {"steps/a_step.py": api("/a", body)}) as client:
        assert await post(client, "/a") is False
        assert (await client.get("/streams/headwater.state/g")).status_code == 404


async def test_both_languages_have_the_variables_of_the_env_file(tmp_path: Path) -> None:
    node_worker()
    python = "import os\nreturn {'status': 200, 'body': os.environ['SECRET_KEY']}"
    typescript = "return { status: 200, body: process.env.SECRET_KEY }"
    files = {
        ".env": "SECRET_KEY=k\nHEADWATER_WORKER_FD=0\n",
        "steps/a_step.py": api("/python", python),
        "steps/b.step.ts": node_step("/ts", typescript),
    }
    async with site(tmp_path, files) as client:
        assert [(await client.post(path, json={})).text for path in ("/python", "/ts")] == ["k", "k"]


async def test_python_and_typescript_share_state(tmp_path: Path) -> None:
    node_worker()
    python = """
    await ctx.state.set("shared", "python", {"by": "python", "n": 1})
    return {"status": 200, "body": [await ctx.state.get("shared", "ts"), await ctx.state.get_group("shared")]}
    """
    typescript = """
    const { set, get } = ctx.state
    const kept = await set('shared', 'ts', { by: 'ts', list: [1] })
    const missing = await get('shared', 'nothing')
    const old = await ctx.state.delete('shared', 'python')
    const count = await ctx.state.update('shared', 'count', [{ type: 'increment', path: '' }])
    return { status: 200, body: [kept, missing, old, old.data ?? null, count, await ctx.state.list('shared')]}
    """
    files = {"steps/a_step.py": api("/python", python), "steps/b.step.ts": node_step("/ts", typescript)}
    async with site(tmp_path, files) as client:
        await post(client, "/python")
        from_ts, from_python = {"by": "ts", "list": [1]}, {"by": "python", "n": 1}
        entries = [{"key": "ts", "value": from_ts}, {"key": "count", "value": 1}]
        assert await post(client, "/ts") == [from_ts, None, from_python, None, 1, entries]
        assert await post(client, "/python") == [from_ts, [from_ts, 1, from_python]]
