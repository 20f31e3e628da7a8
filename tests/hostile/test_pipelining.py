"""Attacks by pipelining: thousands of requests at once, whose client leaves, reads nothing, or hides one
request in another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.hostile import GROUP, ROOM, Attacked, attacked
from support.socket_client import RawSocket

MANY = 10_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    settings = ("server.unread_bytes=20000000",)
    with attacked(tmp_path_factory.mktemp("pipelining") / "project", *settings) as server:
        yield server


def get(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: localhost", *lines, "", ""]).encode()


@pytest.mark.parametrize("path", ["/nowhere", f"/streams/{ROOM}/{GROUP}"], ids=["404s", "groups"])
async def test_requests_by_the_thousand_are_dropped_when_their_client_leaves(
    server: Attacked, path: str
) -> None:
    async with server.beside() as behaved:
        for _ in range(5):
            async with await RawSocket.connect(server.port) as client:
                client.send(get(path) * MANY)
                await client.head()
                await behaved.answers(1)
        await behaved.answers(5)


async def test_answers_that_nobody_reads_have_a_bound(server: Attacked) -> None:
    await server.fill("large", 8_000_000)
    async with server.beside() as behaved:
        deaf = [await RawSocket.connect(server.port) for _ in range(8)]
        for client in deaf:
            client.deafen()
            client.send(get(f"/streams/{ROOM}/large") * 100)
        await server.until_held("unread answers", lambda held: 0 < held <= 20_000_000)
        await behaved.answers(5)
        for client in deaf:
            await client.end()


async def test_event_streams_pipelined_behind_one_another_are_not_begun(server: Attacked) -> None:
    async with server.beside() as behaved, await RawSocket.connect(server.port) as client:
        client.send(get(f"/streams/{ROOM}/{GROUP}", "accept: text/event-stream") * 1000)
        assert (await client.head()).status == 200
        await behaved.answers(5)


def post(*lines: str, body: str = "") -> bytes:
    return "\r\n".join(["POST /echo HTTP/1.1", "host: localhost", *lines, "", body]).encode()


END = "0\r\n\r\n"
ODD = {
    "two lengths": post("content-length: 0", "content-length: 44"),
    "a length and chunks": post("content-length: 5", "transfer-encoding: chunked", body=END),
    "gzip, chunked": post("transfer-encoding: gzip, chunked", body=END),
    "chunked twice": post("transfer-encoding: chunked, chunked", body=END),
    "two hosts": post("host: b", "content-length: 0"),
    "a sign before a length": post("content-length: +5", body="xxxxx"),
    "a space before a colon": post("content-length : 5", body="xxxxx"),
    "a folded header": post("x: a", " b", "content-length: 0"),
    "a chunk of a negative size": post("transfer-encoding: chunked", body="-1\r\n\r\n"),
}


@pytest.mark.parametrize("head", ODD.values(), ids=ODD.keys())
async def test_a_request_that_two_readers_read_differently_ends_its_connection(
    server: Attacked, head: bytes
) -> None:
    """Nothing behind it is answered."""
    async with server.beside(), await RawSocket.connect(server.port) as client:
        client.send(head + get("/echo"))
        raw = await client.reader.read(-1)
        assert raw.startswith(b"HTTP/1.1 400 ")
        assert raw.count(b"HTTP/1.1 ") == 1
