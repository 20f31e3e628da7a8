"""What is revoked, over a whole server: by steps of both languages, by the command, over a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from headwater.app import Running
from headwater.config import ServerSettings, Settings, StorageSettings, WorkerSettings
from headwater.lifetime import running
from support.command import headwater
from support.node_worker import node_worker
from support.steps_project import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

PYTHON_STEP = """
config = {"type": "api", "name": "take", "path": "/:what/:user", "method": "POST", "emits": []}

async def handler(req, ctx):
    what, user = req["pathParams"]["what"], req["pathParams"]["user"]
    return {"status": 200, "body": {"gave": await getattr(ctx.streams.rooms, what)("g", user)}}
"""
NODE_STEP = """
export const config = { type: 'api', name: 'take', path: '/:what/:user', method: 'POST', emits: [] }

export const handler = async ({ pathParams: { what, user } }, { streams }) =>
  ({ status: 200, body: { gave: await streams.rooms[what]('g', user) } })
"""
FILES = {
    # A token is USER-ISSUED.
    "headwater_auth.py": """
def authenticate(request):
    if request.token is None:
        return None
    user, _, issued = request.token.partition("-")
    return {"user": user, "iat": float(issued)} if issued else {"user": user}
""",
    "steps/rooms_stream.py": "config = {'name': 'rooms', 'schema': None}\n",
}
STEPS = {"python": {"steps/take_step.py": PYTHON_STEP}, "node": {"steps/take.step.ts": NODE_STEP}}


@asynccontextmanager
async def serving(root: Path) -> AsyncIterator[Running]:
    settings = Settings(
        project=root,
        server=ServerSettings(port=0),
        storage=StorageSettings(),
        workers=WorkerSettings(size=1, drain_timeout=1.0),
    )
    async with running(settings) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STEPS)
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Running]:
    if request.param == "node":
        node_worker()
    root = tmp_path_factory.mktemp(request.param)
    write(root, FILES | STEPS[request.param])
    async with serving(root) as server:
        yield server


def socket(server: Running, of: str) -> connect:
    url = server.url.replace("http", "ws", 1)
    return connect(url, subprotocols=[Subprotocol("headwater.v1"), Subprotocol(f"headwater.token.{of}")])


async def until(client: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            told = orjson.loads(await client.recv())
            if told["t"] == kind:
                return told


async def follow(client: ClientConnection) -> None:
    await client.send('{"t":"sub","sub":1,"stream":"rooms","group":"g"}')
    await until(client, "complete")


def by(token: str, **headers: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {token}", **headers}}


async def test_a_step_takes_a_group_away_from_a_user_and_gives_it_back(server: Running) -> None:
    live = by("ada", accept="text/event-stream")
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
        socket(server, "ada") as client,
        http.stream("GET", "/streams/rooms/g", **live) as events,
    ):
        await follow(client)
        lines = events.aiter_lines()
        async for line in lines:
            if '"complete"' in line:
                break
        assert (await http.post("/revoke/ada")).json() == {"gave": None}
        assert (await until(client, "revoked"))["code"] == "REVOKED"
        rest = [orjson.loads(line[6:]) async for line in lines if line.startswith("data: ")]
        assert [(one["t"], one["code"]) for one in rest] == [("revoked", "REVOKED")]

        assert (await http.get("/streams/rooms/g", **by("ada"))).status_code == 403
        assert (await http.get("/streams/rooms/g", **live)).status_code == 403
        assert (await http.post("/streams/rooms/g/a/cancel", **by("ada"))).status_code == 403
        assert (await http.get("/streams/rooms/g", **by("bob"))).status_code == 200

        assert (await http.post("/restore/ada")).json() == {"gave": None}
        assert (await http.get("/streams/rooms/g", **by("ada"))).status_code == 200
        assert (await http.post("/revoke/%20")).status_code == 200
        assert server.reception.revocations.denies("rooms", "g", " ")


async def test_the_command_revokes_users_and_connections(server: Running) -> None:
    root = server.settings.project
    issued = time.time()
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
        socket(server, f"eve-{issued}") as client,
        socket(server, "dan") as other,
    ):
        await follow(client)
        await follow(other)
        ended = await _run("revoke", "--user", "eve", "--project", root)
        assert "1 connection ended" in ended
        async with asyncio.timeout(30):
            await client.wait_closed()
        assert client.close_code == 1012
        with pytest.raises(InvalidStatus) as refused:
            await socket(server, f"eve-{issued}").__aenter__()
        assert refused.value.response.status_code == 401
        for path in ("/streams/rooms/g", "/restore/nobody"):
            method = "GET" if "streams" in path else "POST"
            assert (await http.request(method, path, **by(f"eve-{issued}"))).status_code == 401
            assert (await http.request(method, path, **by("eve"))).status_code == 401
            assert (await http.request(method, path, **by(f"eve-{time.time() + 1}"))).status_code == 200

        (listed,) = orjson.loads(await _run("connections", "--user", "dan", "--json", "--project", root))
        assert (listed["user"], listed["kind"]) == ("dan", "websocket")
        said = await _run("revoke", "--connection", str(listed["id"]), "--project", root)
        assert "its token is refused" in said
        async with asyncio.timeout(30):
            await other.wait_closed()
        assert (await http.get("/streams/rooms/g", **by("dan"))).status_code == 401
        assert (await http.get("/streams/rooms/g", **by(f"dan-{issued}"))).status_code == 200
        assert "judged as before" in await _run("revoke", "--user", "eve", "--undo", "--project", root)
        assert (await http.get("/streams/rooms/g", **by("eve"))).status_code == 200


async def test_all_of_it_holds_after_a_restart(tmp_path: Path) -> None:
    write(tmp_path, FILES | STEPS["python"])
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url) as http:
        await http.post("/revoke/ada")
        await _run("revoke", "--user", "bob", "--project", tmp_path)
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/streams/rooms/g", **by("ada"))).status_code == 403
        assert (await http.get("/streams/rooms/g", **by("bob"))).status_code == 401
        assert (await http.get("/streams/rooms/g", **by("cay"))).status_code == 200


async def _run(*arguments: object) -> str:
    """What a command prints; it succeeds."""
    done = await asyncio.to_thread(headwater, *map(str, arguments), cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    return done.stdout


async def slowly(server: Running, method: str, path: str, user: str) -> Callable[[], Awaitable[int]]:
    """A request of a user whose head has been looked at and whose body is not here yet; what is given sends
    that, and answers the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {user}\r\n"
    body = "expect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
    writer.write(f"{head}{body}connection: close\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")  # The server asks for the body once it knows whose it is.

    async def finish() -> int:
        writer.write(b"{}")
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status

    return finish


@pytest.mark.parametrize(("method", "path"), [("PUT", "/streams/board/g/slow"), ("POST", "/nothing/eve")])
async def test_a_body_that_takes_its_time_is_no_way_to_go_on(tmp_path: Path, method: str, path: str) -> None:
    files = {"steps/board_stream.py": "config = {'name': 'board', 'schema': None}\ncan_write = True\n"}
    write(tmp_path, {**FILES, **STEPS["python"], **files})
    async with serving(tmp_path) as server:
        finish = await slowly(server, method, path, "eve")
        await server.reception.revoking.user("eve")
        assert await finish() == 401
        async with httpx.AsyncClient(base_url=server.url) as http:
            assert (await http.get("/streams/board/g")).json()["items"] == []
