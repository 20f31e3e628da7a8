"""Who asks, as a project's `headwater_auth` says it, over a whole server: requests, sockets, events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from headwater.app import Running
from headwater.config import AuthSettings, ServerSettings, Settings, StorageSettings, WorkerSettings
from headwater.errors import AuthUnavailable
from headwater.lifetime import running
from headwater.steps.project.triggers.authenticate import AuthQuestion
from support.node_worker import node_worker
from support.steps_project import serving, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

PYTHON = """
async def authenticate(request):
    token = request.token
    if token is None and "boss" in request["cookies"]:
        return {"user": "boss", "kind": request.kind}
    if token is None:
        return None
    if token == "broken":
        raise ValueError(f"no such key: {token}")
    if token == "odd":
        return ["ada"]
    if token == "endless":
        return {"user": "ada", "exp": float("nan")}
    if token == "large":
        return {"user": "x" * 10_000}
    names = {"ada-token": "ada", "bob-token": "bob"}
    if token not in names:
        return None
    return {"user": names[token], "kind": request.kind, "asked": request.url.partition("?")[0]}
"""
NODE = """
export const authenticate = async (request) => {
  const { token } = request
  if (token === null && 'boss' in request.cookies) return { user: 'boss', kind: request.kind }
  if (token === null) return null
  if (token === 'broken') throw new Error(`no such key: ${token}`)
  if (token === 'odd') return ['ada']
  if (token === 'endless') return { user: 'ada', exp: NaN }
  if (token === 'large') return { user: 'x'.repeat(10_000) }
  const names = { 'ada-token': 'ada', 'bob-token': 'bob' }
  if (!Object.hasOwn(names, token)) return undefined
  return { user: names[token], kind: request.kind, asked: request.url.split('?')[0] }
}
"""
STEPS = {
    "steps/me_step.py": """
import asyncio

config = {"type": "api", "name": "me", "path": "/me", "method": "POST", "emits": ["seen"]}

tasks = set()

async def emit(req, ctx):
    await ctx.emit({"topic": "seen", "data": {"name": req["body"]["emit"]}})
    await ctx.state.set("marks", "mark", 1)

async def after_the_answer(req, ctx):
    await asyncio.sleep(0.05)
    await emit(req, ctx)

async def handler(req, ctx):
    if req["body"].get("emit"):
        if req["body"].get("late"):
            tasks.add(asyncio.create_task(after_the_answer(req, ctx)))
        else:
            await emit(req, ctx)
    return {"status": 200, "body": {"auth": req["auth"], "ctx": ctx.auth}}
""",
    "steps/seen_step.py": """
config = {"type": "event", "name": "seen", "subscribes": ["seen"], "emits": ["again"]}

async def handler(data, ctx):
    await ctx.streams.rooms.set("seen", data["name"], {"auth": ctx.auth})
    await ctx.emit({"topic": "again", "data": data})
""",
    "steps/again_step.py": """
config = {"type": "event", "name": "again", "subscribes": ["again"], "emits": []}

async def handler(data, ctx):
    await ctx.streams.rooms.set("seen", data["name"] + " again", {"auth": ctx.auth})
""",
    "steps/react_step.py": """
config = {"type": "event", "name": "react", "subscribes": ["state:marks"], "emits": []}

async def handler(change, ctx):
    await ctx.streams.rooms.set("seen", "mark", {"auth": ctx.auth})
""",
    "steps/rooms_stream.py": "config = {'name': 'rooms', 'schema': None}\n",
    "steps/private_stream.py": """
config = {"name": "private", "schema": None}

def can_access(subscription, auth):
    return auth is not None and auth["user"] == subscription["groupId"]
""",
}
FILES = {"python": {"headwater_auth.py": PYTHON}, "node": {"headwater_auth.ts": NODE}}


class Site(NamedTuple):
    root: Path
    server: Running
    client: httpx.AsyncClient

    async def me(self, token: str | None = None, **headers: str) -> httpx.Response:
        given = {"authorization": f"Bearer {token}"} if token else {}
        return await self.client.post("/me", json={}, headers={**given, **headers})

    def socket(self, *offers: str, query: str = "", **options: Any) -> connect:
        url = f"{self.server.url.replace('http', 'ws', 1)}/{query}"
        return connect(url, subprotocols=[Subprotocol(one) for one in offers] or None, **options)


@asynccontextmanager
async def site_of(
    root: Path, files: dict[str, str], *, dev: bool = False, **auth: Any
) -> AsyncIterator[Site]:
    write(root, {**STEPS, **files})
    settings = Settings(
        project=root,
        dev=dev,
        server=ServerSettings(port=0),
        storage=StorageSettings(url="memory:"),
        workers=WorkerSettings(size=1, drain_timeout=1.0),
        auth=AuthSettings(**auth),
    )
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield Site(root, server, client)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=FILES)
async def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Site]:
    if request.param == "node":
        node_worker()
    root = tmp_path_factory.mktemp(request.param)
    async with site_of(root, FILES[request.param], cookie="session") as site:
        yield site


async def follow(socket: ClientConnection, group: str) -> dict[str, Any]:
    """The answer to a subscription over protocol v1."""
    asked = {"t": "sub", "sub": 1, "stream": "private", "group": group}
    await socket.send(orjson.dumps(asked).decode())
    async with asyncio.timeout(30):
        while True:
            told = orjson.loads(await socket.recv())
            if told.get("sub") == 1:
                return told


async def test_a_step_is_told_who_asks(site: Site) -> None:
    answer = (await site.me("ada-token")).json()
    assert answer["auth"] == answer["ctx"] == {"user": "ada", "kind": "http", "asked": "/me"}


async def test_nobody_is_anonymous_and_a_wrong_token_is_not_nobody(site: Site) -> None:
    assert (await site.me()).json() == {"auth": None, "ctx": None}
    refused = await site.me("guessed")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("broken", "authenticate failed, so the request is refused: ValueError: no such key: ***"),
        ("odd", "authenticate gives a dict or None, not a value of type list"),
        ("endless", "authenticate gives a context whose exp is nan"),
    ],
)
async def test_what_fails_refuses_and_is_explained_without_the_token(
    site: Site, caplog: pytest.LogCaptureFixture, token: str, said: str
) -> None:
    answer = await site.me(token)
    assert answer.status_code == 401
    told = next(record for record in caplog.records if "authenticate" in record.getMessage())
    if "headwater_auth.ts" in str(vars(told)):
        said = said.replace("ValueError", "Error").replace(
            "a dict or None, not a value of type list", "an object or null, not Array"
        )
    assert said.lower() in told.getMessage().lower()
    assert "headwater_auth" in str(vars(told))
    assert "broken" not in str([vars(record) for record in caplog.records])


async def test_a_context_that_is_too_large_refuses(site: Site) -> None:
    assert (await site.me("large")).status_code == 401


@pytest.mark.parametrize(
    ("offers", "query", "spoken"),
    [
        (("headwater.v1", "headwater.token.ada-token"), "", "headwater.v1"),
        (("headwater.v1", "Authorization", "ada-token"), "", "headwater.v1"),
        (("headwater.v1",), "?authToken=ada-token", "headwater.v1"),
    ],
)
async def test_a_socket_brings_its_token_in_any_of_its_places(
    site: Site, offers: tuple[str, ...], query: str, spoken: str
) -> None:
    async with site.socket(*offers, query=query) as socket:
        assert socket.subprotocol == spoken
        assert (await follow(socket, "ada"))["t"] == "subscribed"
    async with site.socket(*offers, query=query) as socket:
        assert (await follow(socket, "bob"))["code"] == "STREAM_ACCESS_DENIED"


async def test_the_pair_of_the_old_clients_is_echoed_without_the_token(site: Site) -> None:
    async with site.socket("Authorization", "ada-token") as socket:
        assert socket.subprotocol == "Authorization"
        join = {"streamName": "private", "groupId": "ada", "subscriptionId": "1"}
        await socket.send(orjson.dumps({"type": "join", "data": join}).decode())
        assert orjson.loads(await socket.recv())["event"] == {"type": "sync", "data": []}


async def test_a_socket_with_a_wrong_token_does_not_open(site: Site) -> None:
    for token in ("guessed", "broken"):
        with pytest.raises(InvalidStatus) as refused:
            await site.socket("headwater.v1", f"headwater.token.{token}").__aenter__()
        answer = refused.value.response
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    async with site.socket("headwater.v1") as socket:
        assert (await follow(socket, "ada"))["code"] == "STREAM_ACCESS_DENIED"


async def test_reads_over_http_ask_the_rule_with_the_context(site: Site) -> None:
    ada = {"authorization": "Bearer ada-token"}
    assert (await site.client.get("/streams/private/ada", headers=ada)).status_code == 200
    assert (await site.client.get("/streams/private/bob", headers=ada)).status_code == 403
    assert (await site.client.get("/streams/private/ada?authToken=ada-token")).status_code == 200
    assert (await site.client.get("/streams/private/ada")).status_code == 403
    assert (await site.client.get("/streams/rooms/x?authToken=guessed")).status_code == 401
    live = {**ada, "accept": "text/event-stream"}
    async with site.client.stream("GET", "/streams/private/ada", headers=live) as answer:
        assert answer.status_code == 200
    assert (await site.client.get("/streams/private/bob", headers=live)).status_code == 403


async def test_a_cookie_brings_a_token_on_our_own_pages_alone(site: Site) -> None:
    cookie = {"cookie": "session=ada-token"}
    assert (await site.me(**cookie)).json()["auth"]["user"] == "ada"
    assert (await site.me(**cookie, origin=site.server.url)).json()["auth"]["user"] == "ada"
    for token in (None, "bob-token"):
        refused = await site.me(token, **cookie, origin="https://evil.example")
        assert (refused.status_code, refused.json()["code"]) == (403, "ORIGIN_REFUSED")
    assert (await site.me(cookie="session=guessed")).status_code == 401
    assert (await site.me(cookie="boss=1")).json()["auth"]["user"] == "boss"
    async with site.socket("headwater.v1", additional_headers=cookie) as socket:
        assert (await follow(socket, "ada"))["t"] == "subscribed"


@pytest.mark.parametrize("late", [False, True], ids=["before its answer", "after its answer"])
async def test_events_that_a_request_causes_keep_who_asked(site: Site, late: bool) -> None:
    sent = {"emit": "x", "late": late}
    await site.client.post("/me", json=sent, headers={"authorization": "Bearer ada-token"})
    for item in ("x", "x%20again", "mark"):
        async with asyncio.timeout(30):
            while (answer := await site.client.get(f"/streams/rooms/seen/{item}")).status_code == 404:
                await asyncio.sleep(0.01)
        assert answer.json()["auth"] == {"user": "ada", "kind": "http", "asked": "/me"}


async def test_another_authenticator_asks_everyone_again(tmp_path: Path) -> None:
    files = {"headwater_auth.py": PYTHON}
    async with (
        site_of(tmp_path, files) as site,
        site.socket("headwater.v1", query="?authToken=ada-token") as socket,
    ):
        assert (await follow(socket, "ada"))["t"] == "subscribed"
        live = {"accept": "text/event-stream", "authorization": "Bearer ada-token"}
        async with site.client.stream("GET", "/streams/private/ada", headers=live) as events:
            write(tmp_path, {"steps/me_step.py": STEPS["steps/me_step.py"] + "\n"})
            await site.server.runtime.reload()
            assert not site.server.who.take(site.server.project.authenticator)
            await socket.send('{"t":"ping"}')

            write(tmp_path, {"headwater_auth.py": PYTHON.replace("ada-token", "new-token")})
            await site.server.runtime.reload()
            async for _ in events.aiter_bytes():
                pass
        async with asyncio.timeout(30):
            await socket.wait_closed()
        assert socket.close_code == 1012
        assert (await site.me("ada-token")).status_code == 401
        assert (await site.me("new-token")).json()["auth"]["user"] == "ada"

        write(tmp_path, {"headwater_auth.py": "def authenticate("})
        await site.server.runtime.reload()
        assert (await site.me("new-token")).status_code == 200, "the last good one goes on"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"headwater_auth.py": "def authenticate("}, "SYNTAX_ERROR"),
        ({"headwater_auth.py": "import not_there"}, "IMPORT_FAILED"),
        ({"headwater_auth.py": "authenticate = 3"}, "AUTH_INVALID"),
        ({"headwater_auth.py": PYTHON, "headwater_auth.js": NODE}, "AUTH_INVALID"),
    ],
)
async def test_an_authenticator_that_cannot_be_used_lets_nobody_in(
    tmp_path: Path, files: dict[str, str], code: str
) -> None:
    async with site_of(tmp_path, files) as site:
        assert [problem.code for problem in site.server.project.problems] == [code]
        assert (await site.me()).status_code == 503
        assert (await site.client.get("/streams/rooms/x")).status_code == 503
        with pytest.raises(InvalidStatus):
            await site.socket("headwater.v1").__aenter__()


@pytest.mark.parametrize("body", ["await asyncio.sleep(3600)", "time.sleep(5)"])
async def test_what_hangs_lets_nobody_in(tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture) -> None:
    source = f"import asyncio, time\nasync def authenticate(request):\n    {body}\n    return {{}}\n"
    async with serving(tmp_path, {"headwater_auth.py": source}, access_timeout=0.1) as site:
        with pytest.raises(AuthUnavailable):
            await site.runtime.authenticate(AuthQuestion("secret-token", {}, {}, {}, "/", "http"))
    assert any("took longer than 0.1 s" in record.getMessage() for record in caplog.records)
    assert "secret-token" not in caplog.text


async def test_no_line_of_the_log_holds_a_token(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-7f3a"
    with caplog.at_level("DEBUG", logger="headwater"):
        await site.me(canary)
        await site.me(cookie=f"session={canary}")
        await site.client.post(f"/me?authToken={canary}", json={})
        await site.client.get(f"/streams/private/ada?authToken={canary}")
        await site.client.get(f"/nothing?authToken={canary}")
        for offers, query in (
            (("headwater.v1", f"headwater.token.{canary}"), ""),
            ((), f"?authToken={canary}"),
        ):
            with pytest.raises(InvalidStatus):
                await site.socket(*offers, query=query).__aenter__()
    assert caplog.records
    assert canary not in str([vars(record) for record in caplog.records])
