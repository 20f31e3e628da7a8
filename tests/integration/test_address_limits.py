"""What one address may hold and open, over real sockets: it is told, and nobody else is harmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson

from headwater.config import ServerSettings
from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import Site, as_json, serving, tell
from support.socket_client import RawSocket
from support.socket_server import SocketStage, socket_stage

HERE = "127.0.0.1"
"""The proxy of these tests."""

ATTACKER, WELL = "203.0.113.9", "198.51.100.1"
CONNECTIONS, HANDSHAKES = "server.max_connections_per_address", "server.max_handshakes_per_second"


def said(raw: bytes) -> tuple[int, str]:
    """The status and the code of an answer."""
    return int(raw.split(b" ", 2)[1]), orjson.loads(raw.split(b"\r\n\r\n", 1)[1])["code"]


def request(client: str = "", path: str = "/well") -> bytes:
    told = f"x-forwarded-for: {client}\r\n" if client else ""
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n{told}connection: close\r\n\r\n".encode()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


async def is_well(site: Site) -> bool:
    """Whether a client of another address is served, on a connection of its own."""
    reader, writer = await site.connect(local_addr=("127.0.0.2", 0))
    writer.write(request())
    return (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 200 ")


async def test_connections_of_one_address_have_a_limit_and_others_are_served() -> None:
    async with serving({"GET /well": tell}, counts_loopback=True, max_connections_per_address=5) as site:
        held = [await site.connect() for _ in range(5)]
        raw = await site.raw(request())
        assert said(raw) == (429, "TOO_MANY")
        assert b"retry-after: 1" in raw
        assert site.ear.limits() == [CONNECTIONS]
        assert await is_well(site)
        held[0][1].close()
        addresses = site.server._config.addresses
        await until(lambda: addresses.held_by(HERE) < 5)
        assert (await site.raw(request())).startswith(b"HTTP/1.1 200 ")
    assert len(addresses) == 0


async def test_a_flood_of_connections_is_cut_and_others_are_served() -> None:
    async with serving(
        {"GET /well": tell}, counts_loopback=True, max_connections_per_address=1000, handshake_burst=20,
        max_handshakes_per_second=1,
    ) as site:  # fmt: skip
        for _ in range(200):
            await site.connect()
        await until(lambda: site.server._config.addresses.held_by(HERE) <= 41)
        assert set(site.ear.limits()) == {HANDSHAKES}
        assert await is_well(site)
        assert len(site.server._server.server_state.connections) < 50


@asynccontextmanager
async def sockets(**server: Any) -> AsyncIterator[SocketStage]:
    async with socket_stage(server=ServerSettings(trusted_proxies=(HERE,), **server)) as stage:
        stage.server._config.observer = stage.ear
        yield stage


async def shake(stage: SocketStage, client: str) -> tuple[RawSocket, int]:
    socket = await RawSocket.connect(stage.port)
    stage.clients.append(socket)
    return socket, (await socket.shake("/", {"X-Forwarded-For": client})).status


async def follows(stage: SocketStage, client: str) -> bool:
    """Whether a client of that address gets a group."""
    socket, status = await shake(stage, client)
    assert status == 101
    socket.join()
    return await socket.kind() == "sync"


async def test_behind_a_proxy_the_sockets_of_one_client_have_a_limit_while_they_last() -> None:
    async with sockets(max_connections_per_address=3) as stage:
        held = [(await shake(stage, ATTACKER))[0] for _ in range(3)]
        _, status = await shake(stage, ATTACKER)
        assert status == 429
        assert stage.ear.limits() == [CONNECTIONS]
        assert await follows(stage, WELL)
        await held[0].end()
        await until(lambda: stage.server._config.addresses.held_by(ATTACKER) == 2)
        assert await follows(stage, ATTACKER)
        assert (await shake(stage, f"{WELL}, {ATTACKER}"))[1] == 429, "what a client claims makes it no other"


async def test_behind_a_proxy_handshakes_of_one_client_have_a_rate() -> None:
    async with sockets(max_handshakes_per_second=1, handshake_burst=4) as stage:
        statuses: list[int] = []
        for _ in range(20):
            socket, status = await shake(stage, ATTACKER)
            statuses.append(status)
            await socket.end()
        assert statuses[:4] == [101] * 4
        assert statuses.count(429) >= 10
        assert set(stage.ear.limits()) == {HANDSHAKES}
        assert await follows(stage, WELL)


async def test_behind_a_proxy_a_household_of_ipv6_is_one_client() -> None:
    async with sockets(max_connections_per_address=1) as stage:
        assert (await shake(stage, "2001:db8::1"))[1] == 101
        assert (await shake(stage, "2001:db8::ffff"))[1] == 429
        assert (await shake(stage, "2001:db8:0:1::ffff"))[1] == 101


async def test_behind_a_proxy_requests_count_for_their_client_until_they_are_answered() -> None:
    go_on, entered = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(_asked: ApiRequest) -> ApiResponse:
        entered.release()
        await go_on.wait()
        return as_json("done")

    routes = {"GET /slow": slow, "GET /well": tell}
    async with serving(routes, trusted_proxies=(HERE,), max_connections_per_address=2) as site:
        waiting = [asyncio.create_task(site.raw(request(ATTACKER, "/slow"))) for _ in range(2)]
        for _ in range(2):
            await entered.acquire()
        assert said(await site.raw(request(ATTACKER))) == (429, "TOO_MANY")
        assert (await site.raw(request(WELL))).startswith(b"HTTP/1.1 200 ")
        go_on.set()
        for one in waiting:
            assert (await one).startswith(b"HTTP/1.1 200 ")
        for _ in range(20):
            headers = {"x-forwarded-for": ATTACKER}
            assert (await site.client.get("/well", headers=headers)).status_code == 200
        await until(lambda: len(site.server._config.addresses) == 0)


async def test_loopback_holds_and_opens_as_much_as_all_may() -> None:
    async with serving(
        {"GET /well": tell}, max_connections_per_address=1, max_handshakes_per_second=1, handshake_burst=1
    ) as site:
        for _ in range(30):
            await site.connect()
        assert (await site.raw(request())).startswith(b"HTTP/1.1 200 ")
