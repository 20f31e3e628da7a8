"""Attacks by request bodies: JSON that holds too much or nests too deep, bodies that never end, forms of a
million parts. Whoever behaves beside it is answered, and ends with what the store holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import httpx
import pytest

from support.hostile import SECONDS, Attacked, attacked
from support.socket_client import RawSocket

TOGETHER = 4_000_000
PART = 500_000
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    settings = (f"server.max_bodies_bytes={TOGETHER}", "server.max_body_bytes=3000000")
    with attacked(tmp_path_factory.mktemp("bodies") / "project", *settings) as server:
        yield server


class Body(NamedTuple):
    name: str
    kind: str
    body: bytes
    status: int


PART_OF_A_FORM = b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n'
BODIES = [
    Body("empty lists", JSON, b"[" + b"[]," * 900_000 + b"[]]", 200),
    Body("more values than there may be", JSON, b"[" + b"0," * 1_400_000 + b"0]", 413),
    Body("nested too deep", JSON, b"[" * 100_000 + b"]" * 100_000, 413),
    Body("prose", JSON, b'"' + b"words and words " * 180_000 + b'"', 200),
    Body("no JSON at its end", JSON, b"[" + b"[]," * 900_000 + b"[}", 400),
    Body("a number of a million digits", JSON, b"9" * 1_000_000, 400),
    Body("half of a character, often", JSON, b'"' + rb"\ud83d" * 400_000 + b'"', 400),
    Body("a form of escapes", FORM, b"a=" + b"%41" * 900_000, 200),
    Body("a form of fields", FORM, b"a&" * 1_000_000, 400),
    Body("a form of deep names", FORM, b"a" + b"[b]" * 900_000 + b"=1", 200),
    Body("a multipart form of parts", MULTIPART, PART_OF_A_FORM * 50_000 + b"--b--\r\n", 400),
    Body("a multipart form of a line", MULTIPART, b"--b\r\n" + b"a: " + b"x" * 2_900_000, 400),
    Body("bytes that are no form", MULTIPART, b"\r\n" * 1_400_000, 400),
    Body("a text", "text/plain", b"\xff" * 2_900_000, 200),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
async def test_a_body_made_to_cost_is_answered_and_holds_up_nobody(server: Attacked, body: Body) -> None:
    async with server.beside() as behaved, httpx.AsyncClient(timeout=SECONDS) as http:
        headers = {"content-type": body.kind}
        asked = http.post(f"{server.url}/echo", content=body.body, headers=headers)
        answer = asyncio.create_task(asked)
        await behaved.answers(2)
        answered = await answer
        assert answered.status_code == body.status, answered.text[:300]
        if body.status == 200 and body.kind == FORM:
            assert answered.json()["kind"] == "dict"


async def test_half_read_bodies_have_a_bound_together(server: Attacked) -> None:
    """Each client announces a body, sends half of it and waits. Where too much is held, the one that has
    waited longest is refused; who comes then is answered."""
    announced = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (2 * PART)
    async with server.beside() as behaved:
        async with _clients(server, TOGETHER // PART) as clients:
            for client in clients:
                client.send(announced + b"x" * PART)
                await server.until_held("request bodies", lambda held: held % PART == 0 and held > 0)
            await server.until_held("request bodies", lambda held: held == TOGETHER)
            async with _clients(server, 1) as (late,):
                late.send(announced + b"x" * PART)
                assert (await clients[0].head()).status == 503
                late.send(b"x" * PART)
                assert (await late.head()).status == 200
            await behaved.answers(3)
        await server.until_held("request bodies", lambda held: not held)


async def test_half_read_bodies_of_clients_that_leave_are_forgotten(server: Attacked) -> None:
    chunked = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    async with server.beside() as behaved:
        for _ in range(5):
            async with _clients(server, TOGETHER // PART) as clients:
                for client in clients:
                    client.send(chunked + b"%x\r\n" % PART + b"x" * PART)
                await server.until_held("request bodies", lambda held: held > TOGETHER // 2)
            await server.until_held("request bodies", lambda held: not held)
        await behaved.answers(3)


@asynccontextmanager
async def _clients(server: Attacked, count: int) -> AsyncGenerator[list[RawSocket]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await RawSocket.connect(server.port)) for _ in range(count)]
