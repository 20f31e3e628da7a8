"""Pipelined requests, trailers, bodies without end: each has a bound, and nobody works for who has left."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from headwater.server.listen.backlog import HEAD_BYTES, MOST_WAITING
from headwater.server.listen.http_socket import HttpSocket
from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import Site, as_json, serving, tell

GET = b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n"
MANY = 5000
CHUNKED = b"POST /x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"


def connections(site: Site) -> list[HttpSocket]:
    state = cast(Any, site.server)._server.server_state
    return [one for one in state.connections if isinstance(one, HttpSocket)]


async def test_as_many_requests_as_a_client_pipelines_are_answered_in_order() -> None:
    async def number(asked: ApiRequest) -> ApiResponse:
        return as_json(asked.query["n"])

    requests = b"".join(b"GET /x?n=%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % n for n in range(MANY))
    async with serving({"GET /x": number}) as site:
        raw = await site.raw(
            requests + b"GET /x?n=last HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
    bodies = [part.split(b"\r\n\r\n")[1] for part in raw.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b'"%d"' % n for n in range(MANY)] + [b'"last"']


async def test_pipelined_requests_wait_unparsed_and_nobody_works_for_who_has_left() -> None:
    begun = asyncio.Event()

    async def hang(asked: ApiRequest) -> ApiResponse:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with serving({"GET /x": hang, "GET /well": tell}) as site:
        _, writer = await site.connect()
        writer.write(GET * MANY)
        await begun.wait()
        assert (await site.client.get("/well")).status_code == 200
        (held,) = [len(cast(Any, one)._unanswered) for one in connections(site) if cast(Any, one)._backlog]
        assert held < MOST_WAITING + HEAD_BYTES // len(GET) + 2
        writer.transport.abort()
        while len(connections(site)) > 1:
            cast(Any, connections(site)[0]).flow.resume_reading()
            cast(Any, connections(site)[1]).flow.resume_reading()
            await asyncio.sleep(0)
        assert (await site.client.get("/well")).status_code == 200
        assert [request.path for request in site.executor.requests] == ["/x", "/well", "/well"]


async def test_trailers_are_no_headers() -> None:
    async with serving({"POST /x": tell}) as site:
        raw = await site.raw(
            CHUNKED + b"2\r\n{}\r\n0\r\nx-forwarded-user: root\r\nauthorization: Bearer x\r\nhost: y\r\n\r\n"
        )
        (request,) = site.executor.requests
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert request.raw_body == b"{}"
    assert request.headers == {"host": "localhost", "transfer-encoding": "chunked", "connection": "close"}


@pytest.mark.parametrize(
    "endless",
    [b"0\r\n" + b"x-a: b\r\n" * 10_000, b"0\r\nx: " + b"a" * 80_000, b"1;" + b"a" * 80_000],
    ids=["many trailers", "a long trailer", "a long chunk extension"],
)
async def test_what_stands_around_a_body_has_a_bound(endless: bytes) -> None:
    async with serving({"POST /x": tell}) as site:
        raw = await site.raw(CHUNKED + b"2\r\n{}\r\n" + endless)
        assert raw.startswith(b"HTTP/1.1 431 ")
        assert site.ear.limits() == ["server.max_header_bytes"]
        assert site.executor.requests == []


async def test_a_body_in_chunks_of_one_byte_passes() -> None:
    async with serving({"POST /x": tell}) as site:
        raw = await site.raw(CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 200 ")
        assert len(site.executor.requests[0].raw_body) == 50_000
