"""The opening handshake over real sockets: what opens a WebSocket, what is refused, what stays HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

import pytest
import pytest_asyncio

from support.socket_client import ACCEPT, KEY, PONG, TEXT, RawSocket, frame, handshake, text
from support.socket_server import SocketStage, socket_stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncGenerator[SocketStage]:
    async with socket_stage() as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def client(stage: SocketStage) -> AsyncGenerator[RawSocket]:
    async with await RawSocket.connect(stage.port) as client:
        yield client


class Case(NamedTuple):
    """A handshake with other headers than usual, and the status it is answered with."""

    name: str
    headers: dict[str, str | None]
    status: int = 101
    start: str | None = None


CASES = [
    Case("as in the RFC", {}),
    Case("names in other case", {"Upgrade": "WebSocket", "Connection": "upgrade"}),
    Case("several connection options", {"Connection": "keep-alive, Upgrade"}),
    Case("an origin of this machine", {"Origin": "http://localhost:5173"}),
    Case("an origin of elsewhere", {"Origin": "https://evil.example"}, 403),
    Case("a broken origin", {"Origin": "http://[::1"}, 403),
    Case("an origin of bytes", {"Origin": "http://\xff\xfe"}, 403),
    Case("extensions, which are not taken", {"Sec-WebSocket-Extensions": "permessage-deflate; x=1"}),
    Case("no key", {"Sec-WebSocket-Key": None}, 400),
    Case("a key that is no base64", {"Sec-WebSocket-Key": "***"}, 400),
    Case("a key of 15 bytes", {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"}, 400),
    Case("no version", {"Sec-WebSocket-Version": None}, 400),
    Case("version 8", {"Sec-WebSocket-Version": "8"}, 400),
    Case("a doubled version", {"Sec-WebSocket-Version": "13\r\nSec-WebSocket-Version: 13"}, 400),
    Case("a doubled key", {"Sec-WebSocket-Key": f"{KEY}\r\nSec-WebSocket-Key: {KEY}"}, 400),
    Case("a doubled host with an origin", {"Host": "a\r\nHost: b", "Origin": "http://a"}, 400),
    Case("a broken subprotocol", {"Sec-WebSocket-Protocol": ",,;;"}, 400),
    Case("a host of elsewhere", {"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    Case("a body", {"Content-Length": "2\r\nX-Y: z"}, 400),
    Case("a body in chunks", {"Transfer-Encoding": "chunked"}, 400),
    Case("a POST with a body", {"Content-Length": "2"}, 400, "POST / HTTP/1.1"),
    Case("POST", {"Content-Length": "0"}, 405, "POST / HTTP/1.1"),
    Case("no Connection: it is HTTP", {"Connection": None}, 200),
    Case("no Upgrade: it is HTTP", {"Upgrade": None}, 200),
    Case("an upgrade to something else: it is HTTP", {"Upgrade": "h2c"}, 200),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_each_case(stage: SocketStage, client: RawSocket, case: Case) -> None:
    neighbour = await stage.open()
    head = await client.shake("/", case.headers, start=case.start)
    assert head.status == case.status
    if head.status == 101:
        assert head.headers["sec-websocket-accept"] == ACCEPT
        assert "sec-websocket-extensions" not in head.headers
        client.join()
        assert await client.kind() == "sync"
    neighbour.join()
    assert await neighbour.kind() == "sync"


@pytest.mark.parametrize("path", ["/", "/any/path", "/ws?authToken=abc&x=%20", "/%2F%00", "/" + "x" * 4000])
async def test_any_path_opens(stage: SocketStage, client: RawSocket, path: str) -> None:
    head = await client.shake(path)
    assert head.status == 101
    assert stage.peers[-1].url == path


async def test_a_token_in_the_url_reaches_the_session(stage: SocketStage, client: RawSocket) -> None:
    await client.shake("/?authToken=a%20secret")
    assert stage.peers[-1].url == "/?authToken=a%20secret"


async def test_a_token_as_a_subprotocol_is_taken_as_browsers_need_it(
    stage: SocketStage, client: RawSocket
) -> None:
    head = await client.shake("/", {"Sec-WebSocket-Protocol": "Authorization, a.secret"})
    assert head.status == 101
    assert head.headers["sec-websocket-protocol"] == "Authorization"
    assert stage.peers[-1].headers["sec-websocket-protocol"] == "Authorization, a.secret"


async def test_an_unknown_subprotocol_is_not_taken(client: RawSocket) -> None:
    head = await client.shake("/", {"Sec-WebSocket-Protocol": "soap"})
    assert (head.status, "sec-websocket-protocol" in head.headers) == (101, False)


async def test_frames_right_behind_the_request_are_not_lost(client: RawSocket) -> None:
    joining = text('{"type": "join", "data": {"streamName": "chat", "groupId": "room"}}')
    head = await client.shake(behind=joining + frame(0x9, b"ping"))
    assert head.status == 101
    received = [await client.frame() for _ in range(2)]
    assert {one.opcode for one in received if one} == {TEXT, PONG}


async def test_a_cut_frame_right_behind_the_request_is_put_together(client: RawSocket) -> None:
    joining = text('{"type": "join", "data": {"streamName": "chat", "groupId": "room"}}')
    assert (await client.shake(behind=joining[:20])).status == 101
    client.send(joining[20:])
    assert await client.kind() == "sync"


async def test_a_request_cut_anywhere_is_put_together(client: RawSocket) -> None:
    for byte in handshake(client.port):
        client.send(bytes([byte]))
        await client.writer.drain()
    assert (await client.head()).status == 101


async def test_a_socket_opens_after_an_http_request_on_the_same_connection(client: RawSocket) -> None:
    client.send(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode())
    assert (await client.head()).status == 200
    assert await client.reader.readexactly(2) == b"ok"
    assert (await client.shake()).status == 101
    client.join()
    assert await client.kind() == "sync"
