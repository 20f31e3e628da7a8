"""Tokens that end while their connections are open, over a whole server."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from headwater.app import Running
from headwater.config import ServerSettings, Settings, StorageSettings, WorkerSettings
from headwater.lifetime import running
from support.steps_project import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = {
    # A token is USER-END.
    "headwater_auth.py": """
def authenticate(request):
    if request.token is None:
        return None
    user, _, end = request.token.partition("-")
    return {"user": user, "exp": float(end)}
""",
    "steps/own_stream.py": """
config = {"name": "own", "schema": None}

def can_access(subscription, auth):
    return auth is not None and auth["user"] == subscription["groupId"]
""",
    "steps/write_step.py": """
config = {"type": "api", "name": "write", "path": "/write", "method": "POST", "emits": []}

async def handler(req, ctx):
    item = await ctx.streams.own.set("ada", "a", {"by": ctx.auth["user"]})
    return {"status": 200, "body": item}
""",
}
SOON = 0.5
"""Seconds that a token lasts here: long enough to open a connection on a busy machine is `LONG`."""
LONG = 3600.0


def token(lasts: float, user: str = "ada") -> str:
    return f"{user}-{time.time() + lasts}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    root = tmp_path_factory.mktemp("ends")
    write(root, FILES)
    settings = Settings(
        project=root,
        server=ServerSettings(port=0),
        storage=StorageSettings(url="memory:"),
        workers=WorkerSettings(size=1, drain_timeout=1.0),
    )
    async with running(settings) as server:
        yield server


def socket(server: Running, of: str, *, old: bool = False) -> connect:
    offers = ("Authorization", of) if old else ("headwater.v1", f"headwater.token.{of}")
    url = server.url.replace("http", "ws", 1)
    return connect(url, subprotocols=[Subprotocol(one) for one in offers])


async def say(client: ClientConnection, **message: Any) -> None:
    await client.send(orjson.dumps(message).decode())


async def until(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    async with asyncio.timeout(60):
        while True:
            told = orjson.loads(await client.recv())
            if told["t"] == kind:
                return told


async def end_now(server: Running, user: str = "ada") -> None:
    """The tokens of all connections of a user end now, as if their time had passed."""
    for guest in server.guests.of(user):
        server.lapses.enter(guest, time.time())


async def test_a_socket_goes_on_with_a_token_that_it_gives(server: Running) -> None:
    async with socket(server, token(LONG)) as client, httpx.AsyncClient(base_url=server.url) as http:
        await say(client, t="sub", sub=1, stream="own", group="ada")
        await until(client, "complete")
        await say(client, t="auth", ask=1, token=token(SOON))
        assert await until(client, "ok") == {"t": "ok", "ask": 1}
        assert 0 < (await until(client, "expiring"))["in"] <= SOON / 2
        ended = await until(client, "error")
        assert (ended["code"], ended["sub"], ended["ended"]) == ("TOKEN_EXPIRED", 1, True)

        await http.post("/write", headers={"authorization": f"Bearer {token(LONG)}"})
        await say(client, t="auth", ask=2, token=token(LONG))
        await until(client, "ok")
        epoch = server.store.epoch
        await say(client, t="sub", sub=2, stream="own", group="ada", **{"from": {"epoch": epoch, "v": 0}})
        assert (await until(client, "page"))["items"][0][2]["by"] == "ada"


async def test_a_socket_of_the_old_protocol_is_closed(server: Running) -> None:
    async with socket(server, token(LONG, "old"), old=True) as client:
        await client.send('{"type":"join","data":{"streamName":"own","groupId":"old","subscriptionId":"1"}}')
        await client.recv()
        await end_now(server, "old")
        async with asyncio.timeout(30):
            await client.wait_closed()
        assert client.close_code == 1008


async def test_an_event_stream_is_told_and_ends(server: Running) -> None:
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {token(LONG, 'sse')}"}
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
        http.stream("GET", "/streams/own/sse", headers=headers) as events,
    ):
        lines = events.aiter_lines()
        async for line in lines:
            if '"complete"' in line:
                break
        await end_now(server, "sse")
        rest = [orjson.loads(line[6:]) async for line in lines if line.startswith("data: ")]
    assert [(one["t"], one["code"], one["ended"]) for one in rest] == [("error", "TOKEN_EXPIRED", True)]
    assert server.guests.of("sse") == ()


async def test_a_token_that_has_ended_is_refused_by_code(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        for path in ("/streams/own/ada", "/streams/own/ada?x=1"):
            refused = await http.get(path, headers={"authorization": f"Bearer {token(-1)}"})
            assert (refused.status_code, refused.json()["code"]) == (401, "TOKEN_EXPIRED")
        refused = await http.post("/write", headers={"authorization": f"Bearer {token(-1)}"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("end", ["'soon'", "True", "1e12", "[1]", "float('nan')", "float('inf')"])
async def test_an_end_that_cannot_be_read_refuses(
    server: Running, tmp_path: Any, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    source = f"def authenticate(request):\n    return {{'user': 'ada', 'exp': {end}}}\n"
    write(tmp_path, {**FILES, "headwater_auth.py": source})
    settings = Settings(
        project=tmp_path, server=ServerSettings(port=0), storage=StorageSettings(url="memory:")
    )
    async with running(settings) as other, httpx.AsyncClient(base_url=other.url) as http:
        refused = await http.get("/streams/own/ada", headers={"authorization": "Bearer something-long"})
        assert refused.status_code == 401
    assert any(
        re.search(r'the context has an "exp"|a context whose exp is', record.getMessage())
        for record in caplog.records
    )
