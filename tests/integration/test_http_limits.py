"""What strangers may do to a connection, over raw sockets: each limit has an answer and harms nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import orjson
import pytest

from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import Site, as_json, read_answer, serving, tell

KIB = 1024


def status(raw: bytes) -> int:
    return int(raw.split(b" ", 2)[1])


def code(raw: bytes) -> str:
    return orjson.loads(raw.split(b"\r\n\r\n", 1)[1])["code"]


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "host: localhost", *headers, "", ""]).encode() + body


CLOSING = request("GET /well", "connection: close")


async def is_well(site: Site) -> bool:
    return (await site.client.get("/well")).status_code == 200


# Bodies above the limit.


async def test_a_body_announced_too_large_is_refused_before_it_is_sent() -> None:
    async with serving({"POST /x": tell}, max_body_bytes=100 * KIB) as site:
        reader, writer = await site.connect()
        writer.write(request("POST /x", f"content-length: {100 * KIB + 1}", "expect: 100-continue"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writer.close()
    assert status(head) == 413


async def test_a_client_that_sends_all_of_a_body_too_large_still_reads_the_answer() -> None:
    async with serving({"POST /x": tell}, max_body_bytes=100 * KIB) as site:
        response = await site.client.post("/x", content=b"x" * 20_000_000)
        assert (response.status_code, response.json()["limit"]) == (413, 100 * KIB)
        assert response.headers["connection"] == "close"
        assert (await site.client.post("/x", content=b"x" * 100 * KIB)).status_code == 200


async def test_a_chunked_body_is_counted_as_it_comes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * KIB

    async with serving({"POST /x": tell}, max_body_bytes=100 * KIB) as site:
        response = await site.client.post("/x", content=pieces())
        assert (response.status_code, response.json()["code"]) == (413, "TOO_LARGE")
    assert site.executor.requests == []


async def test_all_bodies_together_have_a_limit_too() -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def slow(asked: ApiRequest) -> ApiResponse:
        running.set()
        await go_on.wait()
        return as_json(len(asked.raw_body))

    async with serving({"POST /slow": slow, "POST /x": tell}, max_bodies_bytes=1000 * KIB) as site:
        first = asyncio.create_task(site.client.post("/slow", content=b"x" * 900 * KIB))
        await running.wait()
        refused = await site.client.post("/x", content=b"x" * 200 * KIB)
        assert (refused.status_code, refused.json()["code"]) == (503, "OVERLOADED")
        assert (await site.client.post("/x", content=b"x" * 50 * KIB)).status_code == 200
        go_on.set()
        assert (await first).json() == 900 * KIB
        for _ in range(3):
            assert (await site.client.post("/slow", content=b"x" * 900 * KIB)).status_code == 200


async def test_a_large_body_that_nobody_asked_for_does_not_hold_the_connection() -> None:
    async with serving({"GET /well": tell}) as site:
        raw = await site.raw(request("POST /nowhere", "content-length: 1000000", body=b"x" * 1_000_000))
        assert (status(raw), code(raw)) == (404, "ROUTE_UNKNOWN")
        assert await is_well(site)


async def test_a_small_body_that_nobody_asked_for_leaves_the_connection_as_it_was() -> None:
    async with serving({"GET /well": tell}) as site:
        assert (await site.client.post("/nowhere", content=b"x" * 1000)).status_code == 404
        first = request("POST /nowhere", "content-length: 1000", body=b"x" * 1000)
        raw = await site.raw(first + request("GET /well", "connection: close"))
    assert raw.count(b"HTTP/1.1 404 ") == raw.count(b"HTTP/1.1 200 ") == 1


# Requests that are no HTTP.


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xc3\xa9\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n bad: fold\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: nine\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
        b"0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: nonsense\r\n\r\nabc",
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_valid_http_gets_400_and_a_closed_connection(raw: bytes) -> None:
    async with serving({"GET /well": tell}) as site:
        answer = await site.raw(raw)
        assert (status(answer), code(answer)) == (400, "REQUEST_INVALID")
        assert b"connection: close" in answer
        assert await is_well(site)


async def test_a_broken_chunk_ends_the_request() -> None:
    async with serving({"POST /x": tell, "GET /well": tell}) as site:
        answer = await site.raw(request("POST /x", "transfer-encoding: chunked", body=b"zz\r\nabc\r\n"))
        assert (status(answer), code(answer)) == (400, "REQUEST_INVALID")
        assert site.executor.requests == []
        assert await is_well(site)


async def test_nonsense_behind_a_request_does_not_answer_in_its_place() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(asked: ApiRequest) -> ApiResponse:
        entered.set()
        await go_on.wait()
        return as_json("done")

    async with serving({"GET /slow": slow}) as site:
        reader, writer = await site.connect()
        writer.write(request("GET /slow"))
        await entered.wait()
        writer.write(b"NONSENSE\r\n\r\n")
        answer = await asyncio.gather(reader.read(), return_exceptions=True)
        assert answer == [b""] or isinstance(answer[0], ConnectionResetError)
        go_on.set()


# Headers.


async def test_headers_above_the_limit_are_refused_in_one_piece_or_many() -> None:
    async with serving({"GET /well": tell}, max_header_bytes=4 * KIB) as site:
        assert status(await site.raw(request("GET /well", "x: " + "a" * 3 * KIB, "connection: close"))) == 200
        whole = await site.raw(request("GET /well", "x: " + "a" * 4 * KIB))
        assert (status(whole), code(whole)) == (431, "HEADERS_TOO_LARGE")
        assert site.ear.limits() == ["server.max_header_bytes"]
        assert status(await site.raw(request("GET /" + "a" * 5 * KIB))) == 431
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\n")
        for _ in range(100):
            writer.write(b"x: " + b"a" * 1000 + b"\r\n")
            await asyncio.sleep(0)
        assert status(await asyncio.wait_for(reader.read(), 10)) == 431
        writer.close()
        assert await is_well(site)


async def test_too_many_header_lines_are_refused() -> None:
    async with serving({"GET /well": tell}) as site:
        assert status(await site.raw(request("GET /well", *["x:y"] * 501))) == 431
        assert status(await site.raw(request("GET /well", *["x:y"] * 490, "connection: close"))) == 200


# Slow clients.


async def test_a_request_whose_headers_never_end_is_refused() -> None:
    async with serving(read_timeout=0.2) as site:
        answer = await site.raw(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
    assert (status(answer), code(answer)) == (408, "REQUEST_TOO_SLOW")
    assert site.ear.limits() == ["server.read_timeout"]


async def test_headers_that_trickle_in_are_refused_too() -> None:
    async with serving(read_timeout=0.3) as site:
        reader, writer = await site.connect()
        read = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\n")
        while not read.done():
            writer.write(b"x: y\r\n")
            await asyncio.sleep(0.02)
        assert status(await read) == 408


async def test_a_connection_that_asks_nothing_is_closed_without_a_word() -> None:
    async with serving(read_timeout=0.2) as site:
        assert await site.raw(b"") == b""


@pytest.mark.parametrize("sent", [b"", b"x", b"x" * 500])
async def test_a_body_that_stops_is_refused(sent: bytes) -> None:
    async with serving({"POST /x": tell}, read_timeout=0.2) as site:
        answer = await site.raw(request("POST /x", "content-length: 1000", body=sent))
        assert (status(answer), code(answer)) == (408, "REQUEST_TOO_SLOW")
        assert site.executor.requests == []


async def test_a_body_that_keeps_coming_may_take_longer_than_any_pause() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * 2 * KIB
            await asyncio.sleep(0.1)

    async with serving({"POST /x": tell}, read_timeout=0.7) as site:
        assert (await site.client.post("/x", content=pieces())).status_code == 200


async def test_a_slow_step_is_not_a_slow_client() -> None:
    go_on = asyncio.Event()

    async def slow(asked: ApiRequest) -> ApiResponse:
        await go_on.wait()
        return as_json(len(asked.raw_body))

    async with serving({"POST /x": slow}, read_timeout=0.2) as site:
        reader, writer = await site.connect()
        writer.write(request("POST /x", "content-length: 200000", body=b"x" * 200_000))
        writer.write(request("POST /x", "content-length: 5"))
        await asyncio.sleep(0.6)
        writer.write(b"12345")
        go_on.set()
        assert await read_answer(reader) == (200, b"200000")
        assert await read_answer(reader) == (200, b"5")


async def test_an_idle_connection_is_kept_and_then_closed() -> None:
    async with serving({"GET /x": tell}, read_timeout=0.1, keepalive_timeout=1) as site:
        reader, writer = await site.connect()
        writer.write(request("GET /x"))
        assert (await read_answer(reader))[0] == 200
        await asyncio.sleep(0.4)
        writer.write(request("GET /x"))
        assert (await read_answer(reader))[0] == 200
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    async def large(asked: ApiRequest) -> ApiResponse:
        return ApiResponse(200, [], b"x" * 30_000_000)

    async with serving({"GET /large": large, "GET /well": tell}, write_timeout=0.3) as site:
        deaf = socket.create_connection(("127.0.0.1", site.server.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(request("GET /large"))
        async with asyncio.timeout(60):
            while not await is_well(site) or len(connections(site)) > 1 or not site.executor.requests:
                await asyncio.sleep(0.05)
        deaf.close()
    assert site.ear.limits() == ["server.write_timeout"]


async def test_unread_answers_have_a_limit_together_and_the_oldest_goes_first() -> None:
    size = 16 * KIB * KIB

    async def much(_asked: ApiRequest) -> ApiResponse:
        return ApiResponse(200, [], b"x" * size)

    async with serving({"GET /much": much, "GET /well": tell}, unread_bytes=2 * size) as site:
        clients = [await site.connect() for _ in range(3)]
        for _, writer in clients:
            writer.write(request("GET /much"))
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            while not site.ear.limits():
                await asyncio.sleep(0.01)
        assert site.ear.limits() == ["server.unread_bytes"]
        assert await is_well(site)
        whole = 0
        for reader, _ in clients:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                assert status(head) == 200
                await reader.readexactly(size)
                whole += 1
        assert whole == 2


async def test_a_client_that_reads_slowly_gets_all_of_its_answer() -> None:
    size = 12_000_000

    async def large(asked: ApiRequest) -> ApiResponse:
        return ApiResponse(200, [], b"x" * size)

    async with serving({"GET /large": large}, write_timeout=0.3) as site:
        reader, writer = await site.connect(limit=KIB)
        writer.write(request("GET /large", "connection: close"))
        got = 0
        while piece := await reader.read(256 * KIB):
            got += len(piece)
            await asyncio.sleep(0.01)
        assert got > size


# Many connections.


def connections(site: Site) -> set[object]:
    return site.server._server.server_state.connections  # type: ignore[return-value]


async def test_connections_above_the_limit_are_told_so() -> None:
    async with serving({"GET /well": tell}, max_connections=20) as site:
        held = [await site.connect() for _ in range(20)]
        answer = await site.raw(request("GET /well"))
        assert (status(answer), code(answer)) == (503, "OVERLOADED")
        assert site.ear.limits() == ["server.max_connections"]
        assert b"retry-after: 1" in answer
        for reader, writer in held:
            writer.write(request("GET /well", "connection: close"))
            assert status(await reader.read()) == 200
            writer.close()
        assert await is_well(site)


async def test_far_above_the_limit_connections_are_cut() -> None:
    async with serving({"GET /well": tell}, max_connections=20) as site:
        held = [await site.connect() for _ in range(40)]
        async with asyncio.timeout(60):
            while len(connections(site)) > 23:
                await asyncio.sleep(0.01)
        for _, writer in held:
            writer.close()
        async with asyncio.timeout(60):
            while connections(site):
                await asyncio.sleep(0.01)
        assert await is_well(site)
    assert set(site.ear.limits()) == {"server.max_connections"}


async def test_a_request_to_speak_another_protocol_is_answered_in_this_one() -> None:
    async with serving({"GET /well": tell, "POST /x": tell}) as site:
        upgrade = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
        asked = [
            request("GET /well", *upgrade),
            request("POST /x", *upgrade, "content-length: 3", body=b"abc"),
            request(
                "POST /x", *upgrade, "transfer-encoding: chunked", body=b"2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
            ),
            request("GET /well", *upgrade),
        ]
        reader, writer = await site.connect()
        for one in asked:
            writer.write(one)
            assert (await read_answer(reader))[0] == 200
        for byte in asked[1]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await read_answer(reader))[0] == 200
        writer.close()
        bodies = [one.raw_body for one in site.executor.requests]
        assert bodies == [b"", b"abc", b"def", b"", b"abc"]
        together = await site.raw(
            b"".join(asked) + request("GET /well", *upgrade[1:], "connection: close, upgrade")
        )
        assert together.count(b"HTTP/1.1 200 ") == 5
        many = await site.raw(request("GET /well", "connection: upgrade", "upgrade: h2c") * 2000 + CLOSING)
        assert many.count(b"HTTP/1.1 200 ") == 2001
