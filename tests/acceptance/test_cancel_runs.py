"""A run that writes into an item, stopped by those who see the item: from another client, over plain HTTP,
after a refresh; and what a plain function may still do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.client import Client, Refused, connect
from support.command import Server, serving

STREAM = 'config = {"name": "answers", "schema": None}\n'
ASK = """
config = {"type": "api", "name": "Ask", "method": "POST", "path": "/ask/:topic/:id"}
config["emits"] = ["long", "node", "plain"]


async def handler(req, ctx):
    await ctx.emit({"topic": req["pathParams"]["topic"], "data": {"id": req["pathParams"]["id"]}})
    return {"status": 202, "body": {}}
"""
LONG = """
import asyncio

config = {"type": "event", "name": "Long", "subscribes": ["long"], "emits": []}


async def handler(input, ctx):
    answers = ctx.streams.answers
    await ctx.owns(await answers.set("g", input["id"], {"status": "streaming", "text": ""}))
    try:
        while True:
            await answers.update("g", input["id"], [{"type": "append", "path": "text", "value": "x"}])
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        await answers.update("g", input["id"], [{"type": "set", "path": "status", "value": "cancelled"}])
        raise
"""
LONG_NODE = """
import { setTimeout } from 'node:timers/promises'

export const config = { type: 'event', name: 'LongNode', subscribes: ['node'], emits: [] }

export const handler = async (input: any, { owns, signal, streams }: any) => {
  await owns(await streams.answers.set('g', input.id, { status: 'streaming', text: '' }))
  try {
    while (true) {
      await streams.answers.update('g', input.id, [{ type: 'append', path: 'text', value: 'x' }])
      await setTimeout(10, undefined, { signal })
    }
  } finally {
    const status = signal.aborted ? 'cancelled' : 'error'
    await streams.answers.update('g', input.id, [{ type: 'set', path: 'status', value: status }])
  }
}
"""
PLAIN = """
import time

config = {"type": "event", "name": "Plain", "subscribes": ["plain"], "emits": []}


def handler(input, ctx):
    answers = ctx.streams.answers
    ctx.owns(answers.set("g", input["id"], {"status": "streaming"}).result()).result()
    answers.set("g", input["id"], {"status": "claimed"}).result()
    while not ctx.cancelled:
        time.sleep(0.01)
    answers.set("g", input["id"], {"status": "written after the cancel"})
    answers.set("g", input["id"] + " too", {})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    sources = {"answers_stream.py": STREAM, "ask_step.py": ASK, "long_step.py": LONG, "plain_step.py": PLAIN}
    sources["long.step.ts"] = LONG_NODE
    for name, source in sources.items():
        (tmp_path / "steps" / name).write_text(source)
    return tmp_path


async def ask(server: Server, topic: str, item: str) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{server.url}/ask/{topic}/{item}")).status_code == 202


async def post(server: Server, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(f"{server.url}/streams/answers/g/{path}", headers=headers)


async def until(client: Client, item: str, **members: Any) -> dict[str, Any]:
    """The item, once it is so and has some text, where it has any."""
    async with asyncio.timeout(60):
        async for seen in client.item("answers", "g", item):
            if seen and members.items() <= seen.items() and seen.get("text") != "":
                return seen
    raise AssertionError("it ended")


async def test_a_run_is_stopped_from_another_client_and_says_so_in_its_item(project: Path) -> None:
    with serving("start", "--port", "0", cwd=project) as server:
        async with connect(server.url) as one, connect(server.url) as other:
            for topic in ("long", "node"):
                await ask(server, topic, topic)
                await until(one, topic, status="streaming")
                await other.cancel("answers", "g", topic)
                ended = await until(one, topic, status="cancelled")
                assert set(ended["text"]) == {"x"}
                assert await until(other, topic, status="cancelled") == ended


async def test_a_run_is_stopped_over_plain_http_and_by_no_page_from_elsewhere(project: Path) -> None:
    with serving("start", "--port", "0", cwd=project) as server:
        async with connect(server.url) as client:
            await ask(server, "long", "a")
            await until(client, "a", status="streaming")
            assert (await post(server, "a/cancel", origin="https://evil.example")).status_code == 403
            assert (await post(server, "b/cancel")).json()["code"] == "RUN_UNKNOWN"
            answer = await post(server, "a/cancel")
            assert (answer.status_code, answer.content) == (202, b"")
            await until(client, "a", status="cancelled")


async def test_a_run_outlives_its_page_and_is_stopped_by_the_next_one(project: Path) -> None:
    with serving("start", "--port", "0", cwd=project) as server:
        await ask(server, "long", "a")
        async with connect(server.url) as page:
            before = await until(page, "a", status="streaming")
        async with connect(server.url) as refreshed:
            async with asyncio.timeout(60):
                async for seen in refreshed.item("answers", "g", "a"):
                    if seen and len(seen["text"]) > len(before["text"]):
                        break
            await refreshed.cancel("answers", "g", "a")
            await until(refreshed, "a", status="cancelled")


async def test_what_has_ended_or_is_not_there_cannot_be_stopped(project: Path) -> None:
    with serving("start", "--port", "0", cwd=project) as server:
        async with connect(server.url) as client:
            with pytest.raises(Refused) as caught:
                await client.cancel("answers", "g", "none")
            assert caught.value.details["reason"] == "RUN_UNKNOWN"
            with pytest.raises(Refused) as caught:
                await client.cancel("none", "g", "none")
            assert caught.value.details["reason"] == "STREAM_UNKNOWN"
        with pytest.raises(Refused) as caught:
            await client.cancel("answers", "g", "none")
        assert caught.value.details["reason"] == "OFFLINE"


async def test_what_a_plain_function_writes_after_the_cancel_is_refused(project: Path) -> None:
    with serving("start", "--port", "0", cwd=project) as server:
        async with connect(server.url) as client:
            await ask(server, "plain", "a")
            await until(client, "a", status="claimed")
            await client.cancel("answers", "g", "a")
            await asyncio.to_thread(server.err.wait_for, "RUN_LOST")
            # The run has ended once nobody can stop it any more.
            async with asyncio.timeout(60):
                while (await post(server, "a/cancel")).status_code != 404:
                    await asyncio.sleep(0.01)
            async with httpx.AsyncClient() as http:
                items = (await http.get(f"{server.url}/streams/answers/g")).json()["items"]
            assert [(item["id"], item["status"]) for item in items] == [("a", "claimed")]
