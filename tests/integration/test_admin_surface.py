"""The admin surface over a whole server: its methods, its lines, its errors, and that secrets stay secret."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from headwater.cli.logs import logging_to
from headwater.cli.serving import redaction_of
from headwater.config import (
    AdminSettings,
    AuthSettings,
    LogSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    WorkerSettings,
)
from headwater.lifetime import running
from headwater.operating.methods import READS
from support.steps_project import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "the-operators-own-token"
STEPS = {
    "steps/bill_step.py": """
config = {
    "type": "event",
    "name": "Bill",
    "subscribes": ["bill"],
    "emits": [],
    "infrastructure": {"queue": {"maxRetries": 0}},
}

async def handler(data, ctx):
    raise ValueError("bad bill")
""",
    "steps/hello_step.py": """
config = {"type": "api", "name": "Hello", "path": "/hello", "method": "POST", "emits": []}

async def handler(req, ctx):
    ctx.logger.info("asked", {"headers": req["headers"], "password": "canary-in-a-field"})
    failed = "failed with " + req["headers"].get("authorization", "nothing")
    raise RuntimeError(f"{failed} {req['headers']} {req['headers'].get('cookie', '')}")
""",
    "steps/private_stream.py": """
config = {"name": "private", "schema": None}

def can_access(subscription, auth):
    return False
""",
    "steps/mark_step.py": """
config = {"type": "event", "name": "Mark", "subscribes": ["mark"], "emits": []}

async def handler(data, ctx):
    await ctx.state.set("marks", "a", "marked")
""",
    "headwater_auth.py": """
def authenticate(request):
    return {"user": "ada"} if request.token == "canary-user-token" else None
""",
}


@asynccontextmanager
async def site_of(
    root: Path, *, dev: bool = False, enabled: bool = True, token: str = TOKEN
) -> AsyncIterator[str]:
    write(root, STEPS)
    settings = Settings(
        project=root,
        dev=dev,
        server=ServerSettings(port=0),
        storage=StorageSettings(url="memory:"),
        workers=WorkerSettings(size=1, drain_timeout=1.0),
        admin=AdminSettings(enabled=enabled, token=token),
        auth=AuthSettings(cookie="session"),
    )
    async with running(settings) as server:
        yield server.url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    async with site_of(tmp_path_factory.mktemp("deployed")) as url:
        yield url


@asynccontextmanager
async def operator(url: str, token: str = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=f"{url}/headwater/admin", headers=headers, timeout=60) as client:
        yield client


def lines(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-store"
    return [orjson.loads(line) for line in answer.text.splitlines()]


async def test_an_operator_reads_the_list_and_what_each_method_takes(url: str) -> None:
    async with operator(url) as client:
        listed = (await client.get("")).json()["methods"]
    by_name = {method["name"]: method for method in listed}
    assert by_name["queue.list"]["reads"] is True
    assert by_name["queue.purge"]["reads"] is False
    assert all(method["about"] for method in listed)


async def test_an_event_is_emitted_fails_and_is_found_dead(url: str) -> None:
    async with operator(url) as client:
        emitted, end = lines(await client.post("/emit", json={"topic": "bill", "data": "{}"}))
        run = emitted["entry"]["runs"]["Bill"]
        assert end == {"end": True}
        async with asyncio.timeout(30):
            while not (
                dead := lines(await client.get("/queue.dead", params={"step": "Bill", "limit": 5}))[:-1]
            ):
                await asyncio.sleep(0.01)
        assert dead[0]["entry"]["id"] == run
        assert "bad bill" in orjson.dumps(lines(await client.get("/queue.show", params={"id": run}))).decode()
        purged = lines(await client.post("/queue.purge", json={"what": "dead"}))
        assert purged[-2:] == [{"entry": {"purged": 1}}, {"end": True}]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "code"),
    [
        ("GET", "/queue.purge", None, 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/queue.list", None, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "", b"{}", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/nothing", b"{}", 404, "ROUTE_UNKNOWN"),
        ("POST", "/queue.show", b"[]", 400, "BODY_INVALID"),
        ("POST", "/queue.show", b"{", 400, "BODY_INVALID"),
        ("POST", "/queue.show", b"{}", 400, "INVALID_INPUT"),
        ("GET", "/queue.dead?limit=none", None, 400, "INVALID_INPUT"),
        ("POST", "/queue.show", b'{"id": "no such"}', 404, "JOB_UNKNOWN"),
    ],
)
async def test_what_is_asked_wrongly_is_an_error_with_a_code(
    url: str, verb: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    async with operator(url) as client:
        answer = await client.request(verb, path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("token", ["", "guessed-and-wrong-token", "canary-user-token"])
@pytest.mark.parametrize("path", ["", "/queue.list", "/nothing", "/../admin/queue.list"])
async def test_nobody_else_learns_even_what_there_is(url: str, token: str, path: str) -> None:
    async with operator(url, token) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_in_the_address_or_a_cookie_opens_nothing(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        for more in ({"params": {"authToken": TOKEN}}, {"headers": {"cookie": f"session={TOKEN}"}}):
            assert (await client.get("/headwater/admin/queue.list", **more)).status_code == 401


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    async with site_of(tmp_path, enabled=False) as url, operator(url) as client:
        assert (await client.get("/queue.list")).status_code == 404


async def test_in_dev_this_machine_needs_no_token_and_pages_of_elsewhere_get_nothing(tmp_path: Path) -> None:
    async with site_of(tmp_path, dev=True, token="") as url, operator(url, "") as client:
        assert lines(await client.get("/queue.list"))[-1] == {"end": True}
        foreign = {"origin": "http://localhost:5173"}
        refused = await client.post("/queue.purge", json={"what": "dead"}, headers=foreign)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
        rebound = await client.get("/queue.list", headers={"host": "rebound.example"})
        assert rebound.status_code in (401, 403, 421)


async def test_no_secret_reaches_the_log_or_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Canaries are brought in every way there is, and looked for in all that comes out."""
    (tmp_path / ".env").write_text("STRIPE_SECRET=canary-in-env\n")
    monkeypatch.setitem(os.environ, "HEADWATER_TEST_NOTHING", "")
    out = StringIO()
    settings = Settings(project=tmp_path, admin=AdminSettings(token="canary-admin-token"))
    answers: list[str] = []
    with logging_to(LogSettings(level="debug", format="json"), out, redaction=redaction_of(settings)):
        async with (
            site_of(tmp_path, token="canary-admin-token") as url,
            httpx.AsyncClient(base_url=url) as client,
        ):
            for given in ("canary-user-token", "canary-wrong-token"):
                ways: list[dict[str, Any]] = [
                    {"headers": {"authorization": f"Bearer {given}"}},
                    {"params": {"authToken": given}},
                    {"headers": {"cookie": f"session={given}"}},
                    {"headers": {"sec-websocket-protocol": f"headwater.v1, headwater.token.{given}"}},
                ]
                for way in ways:
                    for path in ("/hello", "/streams/nothing/g", "/headwater/admin/queue.list", "/nothing"):
                        answers.append((await client.post(path, json={}, **way)).text)
                        answers.append((await client.get(path, **way)).text)
            async with operator(url, "canary-admin-token") as admin:
                answers.append((await admin.post("/queue.show", json={"id": "none"})).text)
            logging.getLogger("headwater.step").warning("the key is %s", "canary-in-env")
    written = out.getvalue()
    assert "failed with Bearer [secret]" in written
    assert "the key is [secret]" in written
    assert "canary" not in written
    assert "canary" not in "".join(answers)


def live(url: str, *offers: str, path: str = "/headwater/admin/live", **headers: str) -> connect:
    offered = [Subprotocol(one) for one in ("headwater.v1", *offers)]
    address = url.replace("http", "ws", 1) + path
    return connect(address, subprotocols=offered, additional_headers=headers)


async def ask(socket: ClientConnection, kind: str, **members: Any) -> dict[str, Any]:
    """What is said to a question about a stream."""
    await socket.send(orjson.dumps({"t": kind, **members}).decode())
    label = {name: members[name] for name in ("sub", "ask") if name in members}
    async with asyncio.timeout(30):
        while True:
            told = orjson.loads(await socket.recv())
            if label.items() <= told.items():
                return told


async def test_an_operators_socket_follows_what_no_client_may(url: str) -> None:
    async with live(url, f"headwater.token.{TOKEN}") as socket, operator(url) as client:
        assert socket.subprotocol == "headwater.v1"
        for number, (stream, group) in enumerate([("private", "bob"), ("headwater.state", "marks")]):
            told = await ask(socket, "sub", sub=number, stream=stream, group=group)
            assert told["t"] == "subscribed", told
        await client.post("/emit", json={"topic": "mark", "data": "{}"})
        async with asyncio.timeout(30):
            while True:
                told = orjson.loads(await socket.recv())
                if told["t"] == "set" or (told["t"] == "page" and told.get("items")):
                    break
        assert "marked" in orjson.dumps(told).decode()


async def test_an_operator_that_gives_a_users_token_is_that_user_and_no_more(url: str) -> None:
    async with live(url, f"headwater.token.{TOKEN}") as socket:
        assert (await ask(socket, "sub", sub=1, stream="headwater.state", group="marks"))["t"] == "subscribed"
        await socket.send('{"t":"auth","ask":1,"token":"canary-user-token"}')
        kinds = list[str]()
        async with asyncio.timeout(30):
            while "ok" not in kinds:
                kinds.append(orjson.loads(await socket.recv())["t"])
        assert "revoked" in kinds
        refused = await ask(socket, "sub", sub=2, stream="headwater.state", group="marks")
        assert refused["code"] == "STREAM_UNKNOWN"


async def test_it_writes_what_projects_declare_and_nothing_of_the_servers(url: str) -> None:
    async with live(url, f"headwater.token.{TOKEN}") as socket:
        written = await ask(socket, "set", ask=1, stream="private", group="bob", id="a", d={"x": 1})
        assert (written["t"], written["v"]) == ("ok", 1)
        refused = await ask(socket, "set", ask=2, stream="headwater.state", group="g", id="a", d={"x": 1})
        assert refused["code"] == "STREAM_UNKNOWN"


@pytest.mark.parametrize(
    ("offers", "headers"),
    [
        ((), {}),
        (("headwater.token.guessed-and-wrong-token",), {}),
        (("headwater.token.canary-user-token",), {}),
        ((), {"authorization": "Bearer canary-user-token"}),
        ((), {"cookie": f"session={TOKEN}"}),
    ],
)
async def test_nobody_else_opens_one(url: str, offers: tuple[str, ...], headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with live(url, *offers, **headers):
            pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/headwater/admin/live/", "/headwater/admin", "//headwater/admin/live"]
)
async def test_elsewhere_the_admin_token_is_nobodys(url: str, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with live(url, f"headwater.token.{TOKEN}", path=path):
            pass
    assert refused.value.response.status_code == 401


async def test_a_users_socket_still_sees_nothing_of_the_servers(url: str) -> None:
    async with live(url, "headwater.token.canary-user-token", path="/") as socket:
        assert (await ask(socket, "sub", sub=1, stream="headwater.state", group="g"))[
            "code"
        ] == "STREAM_UNKNOWN"
        assert (await ask(socket, "sub", sub=2, stream="private", group="bob"))[
            "code"
        ] == "STREAM_ACCESS_DENIED"


async def test_what_only_reads_is_a_method_that_there_is(url: str) -> None:
    async with operator(url) as client:
        assert {method["name"] for method in (await client.get("")).json()["methods"]} >= READS


async def test_what_the_project_declares_moves_by_itself(tmp_path: Path) -> None:
    """A saved file, a fault in it and its mending, as a page sees them."""
    stream = tmp_path / "steps" / "rooms_stream.py"
    async with site_of(tmp_path, dev=True, token="") as url, live(url) as socket:
        client = ClientStore()

        async def until(group: str, seen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            async with asyncio.timeout(60):
                while not seen(client.items(group)):
                    client.take(orjson.loads(await socket.recv()))
            return client.items(group)

        for number, group in enumerate(("steps", "streams", "problems", "now")):
            client.subscribe(number, group)
            asked = {"t": "sub", "sub": number, "stream": "headwater.project", "group": group}
            await socket.send(orjson.dumps(asked).decode())
        steps = await until("steps", lambda items: len(items) == 3)
        assert steps["steps/hello_step.py"]["path"] == "/hello"
        assert (await until("now", lambda items: "now" in items))["now"]["generation"] >= 1
        stream.write_text("config = {'name': 'rooms', 'schema': None}\n")
        await until("streams", lambda items: "rooms" in items)
        stream.write_text("config = {'name': 'rooms', 'schema':\n")
        [problem] = (await until("problems", lambda items: len(items) == 1)).values()
        assert (problem["level"], problem["file"]) == ("error", "steps/rooms_stream.py")
        stream.write_text("config = {'name': 'rooms', 'schema': None}\n")
        await until("problems", lambda items: not items)


class ClientStore:
    """Items of groups as frames of protocol v1 tell them."""

    def __init__(self) -> None:
        self._groups: dict[int, str] = {}
        self._feeds: dict[int, str] = {}
        self._items: dict[str, dict[str, Any]] = {}

    def subscribe(self, sub: int, group: str) -> None:
        self._groups[sub] = group
        self._items[group] = {}

    def items(self, group: str) -> dict[str, Any]:
        return self._items[group]

    def take(self, told: dict[str, Any]) -> None:
        match told["t"]:
            case "subscribed":
                self._feeds[told["f"]] = self._groups[told["sub"]]
            case "page":
                for _, _, item in told.get("items", ()):
                    self._items[self._groups[told["sub"]]][item["id"]] = item
                for _, gone in told.get("gone", ()):
                    self._items[self._groups[told["sub"]]].pop(gone, None)
            case "set":
                self._items[self._feeds[told["f"]]][told["d"]["id"]] = told["d"]
            case "gone":
                self._items[self._feeds[told["f"]]].pop(told["i"], None)
            case _:
                assert told["t"] != "error", told
