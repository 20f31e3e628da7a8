"""Broken requests of every kind, in pieces of every size: nothing breaks and nothing is logged."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import as_json, serving, tell

REQUESTS = [
    b"GET /x/1?a=1 HTTP/1.1\r\nhost: x\r\n\r\n",
    b'POST /x/1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}',
    b"POST /x/1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /x/1 HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET http://a HTTP/1.1\r\n\r\n",
    b"GET //x HTTP/1.0\r\n\r\n",
    b"HEAD /x/1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    b"POST /x/%zz HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
    b"DELETE /slow HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
    b"POST /x/1 HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 67\r\n\r\n"
    b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nxxxxxxx\r\n--b--\r\n',
]
INSERTS = [
    b"\r\n",
    b"\r\n\r\n",
    b": ",
    b"\x00",
    b"%",
    b"\xff\xfe",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"connection: upgrade\r\n",
    b"upgrade: websocket\r\n",
    b"GET /x/2 HTTP/1.1\r\n\r\n",
]


def broken(chance: random.Random) -> bytes:
    """One to four requests in a row, each with up to five mistakes."""
    whole = b""
    for _ in range(chance.randint(1, 4)):
        data = bytearray(chance.choice(REQUESTS))
        for _ in range(chance.choice([0, 0, 1, 2, 5])):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(3):
                case 0:
                    del data[at : at + chance.randint(1, 9)]
                case 1:
                    data[at:at] = chance.choice(INSERTS)
                case _:
                    data[at:at] = chance.randbytes(chance.randint(1, 5))
        whole += data
    return whole


async def slow(request: ApiRequest) -> ApiResponse:
    await asyncio.sleep(0.02)
    return as_json("slow")


@pytest.mark.parametrize("seed", range(4))
async def test_broken_requests_harm_nobody(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    routes = {"GET /x/:id": tell, "POST /x/:id": tell, "DELETE /slow": slow, "GET /well": tell}
    async with serving(
        routes, read_timeout=0.3, keepalive_timeout=1, max_header_bytes=2048, allowed_hosts=("*",)
    ) as site:

        async def visit() -> None:
            data, at = broken(chance), 0
            reader, writer = await site.connect()
            while at < len(data) and not writer.is_closing():
                size = chance.choice([1, 7, 100, len(data)])
                writer.write(data[at : at + size])
                at += size
                await asyncio.sleep(0)
            if chance.random() < 0.3:
                writer.close()
                return
            async with asyncio.timeout(60):
                answers = await asyncio.gather(reader.read(), return_exceptions=True)
            assert isinstance(answers[0], bytes | ConnectionError)
            assert b"HTTP/1.1 500" not in (answers[0] if isinstance(answers[0], bytes) else b"")

        await asyncio.gather(*(visit() for _ in range(100)))
        assert (await site.client.get("/well")).status_code == 200
    assert faults == []
    assert [
        record.getMessage() for record in caplog.records if record.levelname not in ("DEBUG", "INFO")
    ] == []
