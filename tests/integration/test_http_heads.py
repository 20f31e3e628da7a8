"""Heads of requests that HTTP forbids or lets a server ignore, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import orjson
import pytest
import pytest_asyncio

from support.http_site import Site, serving, tell

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOCKET = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
OFFER = b"Connection: upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 2\r\n"
HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKS = b"2\r\nab\r\n0\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncGenerator[Site]:
    async with serving({"GET /x": tell, "POST /x": tell}) as site:
        yield site


async def ask(site: Site, head: bytes, *lines: bytes, body: bytes = b"") -> tuple[int, str]:
    """The status of the answer, and the code of its error."""
    answer = await site.raw(b"".join([head, b"\r\n", *lines, b"\r\n", body]))
    top, _, content = answer.partition(b"\r\n\r\n")
    code = orjson.loads(content).get("code", "") if b"application/problem+json" in top else ""
    return int(top.split()[1]), code


@pytest.mark.parametrize(
    ("head", "lines", "body"),
    [
        (b"GET /x HTTP/1.1", [HOST, HOST], b""),
        (b"GET /x HTTP/1.1", [HOST, b"hOST: other\r\n"], b""),
        (b"GET /x HTTP/1.1", [HOST, b"Authorization: a\r\n", b"authorization: a\r\n"], b""),
        (b"GET /x HTTP/1.1", [HOST, SOCKET, b"Authorization: a\r\n", b"Authorization: b\r\n"], b""),
        (b"GET /x HTTP/1.0", [HOST, HOST], b""),
        (b"GET /x HTTP/1.1", [], b""),
        (b"GET /x HTTP/1.1", [SOCKET], b""),
        (b"GET /x HTTP/1.1", [b"Host: a b\r\n"], b""),
        (b"POST /x HTTP/1.1", [HOST, b"Transfer-Encoding: gzip, chunked\r\n"], CHUNKS),
        (b"POST /x HTTP/1.1", [HOST, b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"], CHUNKS),
        (b"POST /x HTTP/1.1", [HOST, b"Transfer-Encoding: chunked, chunked\r\n"], CHUNKS),
        (b"POST /x HTTP/1.1", [HOST, b"Transfer-Encoding: identity\r\n"], b""),
        (b"GET /x HTTP/2.0", [HOST], b""),
        (b"GET /x HTTP/0.9", [HOST], b""),
        (b"GET /x HTTP/1.2", [HOST], b""),
        (b"GET /x", [], b""),
        (b"PRI * HTTP/2.0", [], b"SM\r\n\r\n"),
    ],
)
async def test_a_head_that_breaks_a_rule_is_answered_400(
    site: Site, head: bytes, lines: list[bytes], body: bytes
) -> None:
    assert await ask(site, head, *lines, body=body) == (400, "REQUEST_INVALID")
    assert await ask(site, b"GET /x HTTP/1.1", HOST, CLOSE) == (200, "")


@pytest.mark.parametrize(
    ("head", "lines", "body"),
    [
        (b"GET /x HTTP/1.0", [], b""),
        (b"GET /x HTTP/1.1", [b"Host: LOCALHOST:1\r\n", CLOSE], b""),
        (b"POST /x HTTP/1.1", [HOST, CLOSE, b"Transfer-Encoding: Chunked\r\n"], CHUNKS),
        (
            b"POST /x HTTP/1.1",
            [HOST, b"Connection: upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 2\r\n"],
            b"ab",
        ),
    ],
)
async def test_a_head_that_keeps_them_is_answered(
    site: Site, head: bytes, lines: list[bytes], body: bytes
) -> None:
    assert await ask(site, head, *lines, body=body) == (200, "")


@pytest.mark.parametrize("more", [[], [SOCKET]], ids=["HTTP", "WebSocket"])
async def test_a_page_that_lets_its_name_mean_this_machine_is_refused(site: Site, more: list[bytes]) -> None:
    evil = [b"Host: evil.example\r\n", b"Origin: http://evil.example\r\n", *more]
    assert await ask(site, b"GET /x HTTP/1.1", *evil) == (403, "HOST_REFUSED")
