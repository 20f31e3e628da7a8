"""Each limit, met on a real server: whoever meets it is told by a code of its own, and whoever behaves is
answered meanwhile and afterwards. What sockets leave unread or unfinished is in `test_frames.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from support.hostile import ROOM, SECONDS, V1, Attacked, attacked
from support.socket_client import RawSocket, text

ATTACKER = "203.0.113.9"
RINGS = 300_000

FILES = {
    "headwater_auth.py": """
async def authenticate(request):
    return {"user": request.token} if request.token else None
""",
    "steps/open_stream.py": """
config = {"name": "open", "schema": None}
can_write = True
can_send = True
""",
    "steps/emit_step.py": """
config = {"type": "api", "name": "Emit", "method": "POST", "path": "/emit/:size", "emits": ["slow"]}


async def handler(req, ctx):
    await ctx.emit({"topic": "slow", "data": "x" * int(req["pathParams"]["size"])})
    return {"status": 200, "body": {}}
""",
    "steps/slow_step.py": """
import asyncio
from pathlib import Path

config = {"type": "event", "name": "Slow", "subscribes": ["slow"], "emits": [], "concurrency": 1}
GO = Path(__file__).parent.parent / "go"


async def handler(input, ctx):
    while not GO.exists():
        await asyncio.sleep(0.05)
""",
}
SETTINGS = (
    "server.trusted_proxies=127.0.0.1",
    "server.max_connections=80",
    "server.max_connections_per_address=4",
    "server.max_handshakes_per_second=1",
    "server.handshake_burst=8",
    "server.max_body_depth=20",
    "socket.max_subscriptions=5",
    "socket.max_frames_per_second=100",
    "socket.frame_burst=500",
    "streams.max_writes_per_second=1",
    "streams.write_burst=10",
    "streams.max_snapshot_bytes=200000",
    f"streams.rings_bytes={RINGS}",
    "work.max_payload_bytes=1000",
    "work.max_queued=6",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("limits") / "project", *SETTINGS, files=FILES) as server:
        yield server


async def asked(server: Attacked, method: str, path: str, **more: Any) -> tuple[int, str]:
    """The status and the code of an answer, on a connection of its own."""
    async with httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as http:
        answer = await http.request(method, path, **more)
        return answer.status_code, answer.json().get("code", "")


@asynccontextmanager
async def shaken(server: Attacked, **headers: str) -> AsyncGenerator[tuple[RawSocket, int]]:
    """A socket that has tried to shake hands, and the status that it got."""
    async with await RawSocket.connect(server.port) as socket:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        yield socket, (await socket.shake("/", {**V1, **named})).status


async def told(socket: RawSocket) -> dict[str, Any]:
    """The next message that is no greeting."""
    while (message := await socket.message())["t"] == "hello":
        pass
    return message


def say(socket: RawSocket, **message: Any) -> None:
    socket.send(text(orjson.dumps(message)))


async def test_connections_in_all(server: Attacked) -> None:
    async with server.beside() as behaved, AsyncExitStack() as silent:
        for _ in range(80):
            await silent.enter_async_context(await RawSocket.connect(server.port))
        await behaved.answers(3)
        async with shaken(server) as (_, status):
            assert status == 503


async def test_connections_of_one_address(server: Attacked) -> None:
    async with server.beside() as behaved, AsyncExitStack() as held:
        for _ in range(4):
            _, status = await held.enter_async_context(shaken(server, x_forwarded_for=ATTACKER))
            assert status == 101
        async with shaken(server, x_forwarded_for=ATTACKER) as (_, status):
            assert status == 429
        answer = await asked(server, "GET", "/nowhere", headers={"x-forwarded-for": ATTACKER})
        assert answer == (429, "TOO_MANY")
        async with shaken(server, x_forwarded_for="203.0.113.10") as (_, status):
            assert status == 101
        await behaved.answers(3)


async def test_handshakes_per_second_of_one_address(server: Attacked) -> None:
    statuses: list[int] = []
    async with server.beside() as behaved:
        for _ in range(20):
            async with shaken(server, x_forwarded_for="203.0.113.11") as (_, status):
                statuses.append(status)
        assert statuses[:8] == [101] * 8
        assert 429 in statuses
        await behaved.answers(3)


async def test_messages_per_second(server: Attacked) -> None:
    async with server.beside() as behaved, await server.socket() as socket:
        socket.send(text('{"t":"ping"}') * 2000)
        assert await socket.closed() == 1008
        await behaved.answers(3)


async def test_subscriptions(server: Attacked) -> None:
    async with server.beside() as behaved, await server.socket() as socket:
        for number in range(50):
            say(socket, t="sub", sub=number, stream=ROOM, group=f"g{number}")
        say(socket, t="ping")
        codes: list[str] = []
        while (message := await told(socket))["t"] != "pong":
            codes += [message["code"]] if message["t"] == "error" else []
        assert codes == ["TOO_MANY"] * 45
        await behaved.answers(3)


async def test_recent_changes_of_all_groups(server: Attacked) -> None:
    async with server.beside() as behaved, await server.socket() as socket:
        for number in range(5):
            say(socket, t="sub", sub=number, stream=ROOM, group=f"ring{number}")
        for _ in range(4):
            for number in range(5):
                await server.fill(f"ring{number}", 50_000)
        assert (await server.held())["recent changes"] <= RINGS
        await behaved.answers(3)


async def test_depth_of_json(server: Attacked) -> None:
    deep = b"[" * 10_000 + b"]" * 10_000
    async with server.beside() as behaved, await server.socket() as socket:
        headers = {"content-type": "application/json"}
        assert await asked(server, "POST", "/echo", content=deep, headers=headers) == (413, "TOO_COMPLEX")
        socket.send(text(b'{"t":"sub","sub":1,"stream":%b}' % deep))
        assert (await told(socket))["code"] == "PROTOCOL_FAULT"
        say(socket, t="ping")
        assert (await told(socket))["t"] == "pong"
        await behaved.answers(3)


async def test_a_group_that_is_read_whole(server: Attacked) -> None:
    async with server.beside() as behaved:
        await server.fill("big", 300_000)
        assert await asked(server, "GET", f"/streams/{ROOM}/big") == (413, "TOO_LARGE")
        assert (await asked(server, "GET", f"/streams/{ROOM}/big?limit=1"))[0] == 200
        await behaved.answers(3)


async def test_data_of_an_event(server: Attacked) -> None:
    async with server.beside() as behaved:
        assert await asked(server, "POST", "/emit/5000") == (413, "TOO_LARGE")
        await behaved.answers(3)


async def test_events_that_wait(server: Attacked) -> None:
    async with server.beside() as behaved:
        answers = [await asked(server, "POST", "/emit/1") for _ in range(12)]
        assert answers.count((503, "QUEUE_FULL")) == 6
        await behaved.answers(3)
        (server.project / "go").touch()
        async with asyncio.timeout(SECONDS):
            while (await asked(server, "POST", "/emit/1"))[0] != 200:
                await asyncio.sleep(0.02)


async def test_writes_per_second_of_one_client_over_all_its_sockets_and_requests(server: Attacked) -> None:
    async with server.beside() as behaved, AsyncExitStack() as stack:
        tabs = [
            (await stack.enter_async_context(shaken(server, authorization="Bearer mallory")))[0]
            for _ in range(3)
        ]
        codes: list[str] = []
        for number in range(30):
            say(tabs[number % 3], t="set", ask=number, stream="open", group="g", id=str(number), d={"n": 1})
            answer = await told(tabs[number % 3])
            codes.append(answer.get("code", answer["t"]))
        assert set(codes) == {"ok", "TOO_MANY"}
        assert codes[:10] == ["ok"] * 10
        mallory = {"authorization": "Bearer mallory"}
        puts = [
            await asked(server, "PUT", "/streams/open/g/x", json={"n": 1}, headers=mallory) for _ in range(9)
        ]
        assert (429, "TOO_MANY") in puts
        async with shaken(server, authorization="Bearer ada") as (ada, _):
            say(ada, t="set", ask=1, stream="open", group="g", id="ada", d={"n": 1})
            assert (await told(ada))["t"] == "ok"
        await behaved.answers(3)


async def test_a_flood_of_refusals_is_a_few_lines_of_the_log(server: Attacked) -> None:
    async with server.beside() as behaved:
        for _ in range(30):
            async with await server.socket() as socket:
                socket.send(text('{"t":"ping"}') * 1000)
                assert await socket.closed() == 1008
        await behaved.answers(3)
    lines = [line for line in server.log if "[socket] max_frames_per_second" in line]
    assert 1 <= len(lines) <= 6, lines
