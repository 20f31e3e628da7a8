"""Attacks by what stands around a body: trailers and chunk extensions, without end, or as headers that a
proxy would never let in."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from support.hostile import Attacked, attacked
from support.socket_client import RawSocket

CHUNKED = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
FORBIDDEN = (
    b"x-forwarded-user",
    b"x-forwarded-for",
    b"authorization",
    b"cookie",
    b"host",
    b"content-length",
    b"content-type",
    b"transfer-encoding",
    b"x-request-id",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("trailers") / "project") as server:
        yield server


@pytest.mark.parametrize("name", FORBIDDEN, ids=lambda name: name.decode())
async def test_a_trailer_never_reaches_a_step(server: Attacked, name: bytes) -> None:
    async with await RawSocket.connect(server.port) as client:
        client.send(CHUNKED + b"2\r\n{}\r\n0\r\n" + name + b": 7\r\n\r\n")
        raw = await client.reader.read(-1)
    head, _, body = raw.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200 "):
        seen = orjson.loads(body)["headers"]
        assert "7" not in seen.values()
    else:
        assert head.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "endless",
    [
        b"0\r\n" + b"x-a: b\r\n" * 200_000,
        b"0\r\nx: " + b"a" * 2_000_000,
        b"0\r\n" + b"x" * 2_000_000,
        b"1;" + b"a" * 2_000_000,
        b"1;a=b\r\nx\r\n" * 100_000 + b"0\r\n" + b"x-a: b\r\n" * 200_000,
    ],
    ids=["trailers", "a value", "a name", "an extension", "extensions and trailers"],
)
async def test_what_never_ends_around_a_body_is_cut(server: Attacked, endless: bytes) -> None:
    async with server.beside() as behaved, await RawSocket.connect(server.port) as client:
        client.send(CHUNKED + b"2\r\n{}\r\n" + endless)
        assert (await client.head()).status in (400, 431)
        await behaved.answers(3)
