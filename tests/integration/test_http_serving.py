"""Listening and ending: ports, addresses, graceful shutdown, WebSockets beside HTTP."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest

from headwater.config import ServerSettings, Settings
from headwater.errors import CannotListen
from headwater.server.http.app import build_http_app
from headwater.server.listen.serve import HttpServer
from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import as_json, read_answer, serving, tell


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_who_stands_between_server_and_application_sees_each_answer() -> None:
    app = build_http_app(Settings(project=Path()), cast(Any, None))

    async def between(scope: Any, receive: Any, send: Any) -> None:
        async def mark(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-seen", b"yes"))
            await send(message)

        await app(scope, receive, mark)

    async with HttpServer(between, ServerSettings(port=0)) as server, httpx.AsyncClient() as client:
        answer = await client.get(f"{server.url}/nothing")
        assert (answer.status_code, answer.headers["x-seen"]) == (404, "yes")


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 5_000_000])
async def test_an_answer_of_any_size_is_whole(size: int) -> None:
    async def answer(_request: ApiRequest) -> ApiResponse:
        return ApiResponse(200, [("content-type", "text/plain")], b"x" * size)

    async with serving({"GET /x": answer}) as site:
        for _ in range(2):
            assert (await site.client.get("/x")).content == b"x" * size
        head = await site.client.head("/x")
        assert (head.content, head.headers["content-length"]) == (b"", str(size))


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


async def test_port_0_picks_a_free_port_and_tells_it() -> None:
    async with HttpServer(nothing, ServerSettings(port=0)) as server, httpx.AsyncClient() as client:
        assert server.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert (await client.get(server.url)).status_code == 204


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    async with HttpServer(nothing, ServerSettings(port=0)) as first:
        with pytest.raises(CannotListen) as caught:
            await HttpServer(nothing, ServerSettings(port=first.port)).start()
    assert f"port {first.port} is in use" in caught.value.message
    assert "--port" in caught.value.hint
    assert caught.value.details["port"] == first.port


@pytest.mark.parametrize(
    ("host", "says"), [("no-such-host.invalid", "not known"), ("192.0.2.1", "does not have")]
)
async def test_an_address_that_is_not_this_machines_is_named(host: str, says: str) -> None:
    with pytest.raises(CannotListen, match=says):
        await HttpServer(nothing, ServerSettings(host=host, port=0)).start()


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "127.0.0.1"])
async def test_every_common_host_is_reached_at_the_url_that_is_printed(host: str) -> None:
    settings = ServerSettings(host=host, port=0)
    async with HttpServer(nothing, settings) as server, httpx.AsyncClient() as client:
        assert (await client.get(server.url)).status_code == 204


@pytest.mark.parametrize("host", ["::1", "::"])
async def test_an_ipv6_address_is_reached_too(host: str) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with (
        HttpServer(nothing, ServerSettings(host=host, port=0)) as server,
        httpx.AsyncClient() as client,
    ):
        assert server.url == f"http://[::1]:{server.port}"
        assert (await client.get(server.url)).status_code == 204


async def test_the_port_is_free_again_once_the_server_has_ended() -> None:
    server = HttpServer(nothing, ServerSettings(port=0))
    port = await server.start()
    await server.stop()
    async with HttpServer(nothing, ServerSettings(port=port)) as again:
        assert again.port == port


async def test_stopping_twice_or_unstarted_is_fine() -> None:
    server = HttpServer(nothing, ServerSettings(port=0))
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_a_running_request_may_end_while_the_server_stops() -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: ApiRequest) -> ApiResponse:
        running.set()
        await go_on.wait()
        return as_json("done")

    async with serving({"GET /slow": slow}) as site:
        request = asyncio.create_task(site.client.get("/slow"))
        await running.wait()
        stop = asyncio.create_task(site.server.stop())
        async with asyncio.timeout(60):
            while not refused(site.server.port):
                await asyncio.sleep(0.02)
        go_on.set()
        response = await request
        assert (response.json(), response.headers["connection"]) == ("done", "close")
        await stop


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(("timeout", "now"), [(0.1, False), (60, True)])
async def test_a_request_that_does_not_end_in_time_is_told_so(timeout: float, now: bool) -> None:
    running, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(request: ApiRequest) -> ApiResponse:
        running.set()
        try:
            await asyncio.sleep(1000)
        finally:
            cancelled.set()
        return as_json("never")

    async with serving({"GET /slow": endless}, shutdown_timeout=timeout) as site:
        request = asyncio.create_task(site.client.get("/slow"))
        await running.wait()
        async with asyncio.timeout(60):
            await site.server.stop(now=now)
        response = await request
    assert cancelled.is_set()
    assert (response.status_code, response.json()["code"]) == (503, "SHUTTING_DOWN")


async def test_idle_connections_do_not_hold_up_the_end() -> None:
    async with serving({"GET /x": tell}, shutdown_timeout=60) as site:
        used_reader, used = await site.connect()
        used.write(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await read_answer(used_reader)
        fresh_reader, _ = await site.connect()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            await site.server.stop()
            assert await used_reader.read() == await fresh_reader.read() == b""


class Echo(asyncio.Protocol):
    """The least that stands for a WebSocket protocol: it repeats what it gets."""

    heads: list[bytes] = []  # noqa: RUF012

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self.connections = server_state.connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET "):
            self.heads.append(data)
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        else:
            self.transport.write(data)

    def shutdown(self) -> None:
        self.transport.close()


UPGRADE = (
    b"GET /any/path?x=1 HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
)


async def test_a_websocket_leaves_http_and_its_limits_on_time_behind() -> None:
    async with serving({"GET /x": tell}, ws_class=Echo, read_timeout=0.1, keepalive_timeout=0.1) as site:
        reader, writer = await site.connect()
        writer.write(UPGRADE)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.4)
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        assert Echo.heads[-1].startswith(b"GET /any/path?x=1 HTTP/1.1\r\n")
        assert (await site.client.get("/x")).status_code == 200
        async with asyncio.timeout(60):
            await site.server.stop()
            assert await reader.read() == b""


async def test_websockets_count_as_connections_and_are_refused_above_the_limit() -> None:
    async with serving(ws_class=Echo, max_connections=10) as site:
        held = [await site.connect() for _ in range(10)]
        for reader, writer in held:
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
        raw = await site.raw(UPGRADE)
        assert raw.startswith(b"HTTP/1.1 503 ")
        assert orjson.loads(raw.split(b"\r\n\r\n", 1)[1])["code"] == "OVERLOADED"
