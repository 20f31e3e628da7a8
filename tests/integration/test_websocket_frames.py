"""RFC 6455 over real sockets, as a table of cases. Whatever one client sends, its neighbour sees nothing of
it.

The order follows the sections of the Autobahn test suite: framing, pings and pongs, reserved bits, opcodes,
fragmentation, UTF-8, closing, limits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

import pytest
import pytest_asyncio

from headwater.config import SocketSettings
from headwater.protocol.clients.rfc6455 import text_frame
from headwater.server.live.websocket import WebSocket
from support.socket_client import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawSocket, close, frame, text
from support.socket_server import SocketStage, socket_stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 100_000


class Echo:
    """A Session that sends back what it hears."""

    shares = False

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.ended = 0

    def message(self, text: str) -> None:
        self.socket.offer(text_frame(text.encode()))

    def drained(self) -> None:
        pass

    def closed(self) -> None:
        self.ended += 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncGenerator[SocketStage]:
    async with socket_stage(SocketSettings(max_frame_bytes=LIMIT)) as stage:
        stage.make = Echo
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def echo(stage: SocketStage) -> AsyncGenerator[RawSocket]:
    async with await stage.open() as socket:
        yield socket


class Case(NamedTuple):
    """What a client sends, the messages it gets back, and the code that the server closes with, if any."""

    name: str
    sent: bytes
    echoed: tuple[bytes, ...] = ()
    code: int | None = None


GREEK = "κόσμε".encode()
GOOD_TEXTS = {
    "at the ends of each length": "\x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff".encode(),
    "around the surrogates": "\ud7ff\ue000".encode(),
    "of noncharacters": "\ufffe\uffff\U0001fffe\U0010ffff".encode(),
    "of a replacement character": "\ufffd".encode(),
}
BAD_TEXTS = {
    "a surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "a code point beyond Unicode": b"\xf4\x90\x80\x80",
    "a sequence of five bytes": b"\xf8\x88\x80\x80\x80",
    "a sequence of six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "an overlong slash of two bytes": b"\xc0\xaf",
    "an overlong slash of three bytes": b"\xe0\x80\xaf",
    "an overlong slash of four bytes": b"\xf0\x80\x80\xaf",
    "the longest overlong": b"\xe0\x9f\xbf",
    "an overlong zero": b"\xc0\x80",
    "a lone continuation byte": b"\x80",
    "lone continuation bytes": b"\xbf\x80\xbf",
    "a lone first byte of two": b"\xc3 ",
    "a lone first byte of three": b"\xe2 ",
    "a lone first byte of four": b"\xf0 ",
    "a cut character within": b"\xe2\x82 ",
    "the byte FE": b"\xfe",
    "the byte FF": b"\xff",
}

CASES = [
    Case("an empty message", text(""), (b"",)),
    *[
        Case(f"a message of {size} bytes", text("*" * size), (b"*" * size,))
        for size in (125, 126, 127, 128, 65_535, 65_536, LIMIT)
    ],
    Case("several messages at once", text("a") + text("b") + text("c"), (b"a", b"b", b"c")),
    Case("a length longer than need be, of 2 bytes", frame(TEXT, b"abc", width=2), (b"abc",)),
    Case("a length longer than need be, of 8 bytes", frame(TEXT, b"abc", width=8), (b"abc",)),
    Case("a binary message", frame(BINARY, b"\x00\x01"), code=1003),
    Case("an empty binary message", frame(BINARY), code=1003),
    Case("binary fragments", frame(BINARY, b"a", fin=False) + frame(CONT, b"b"), code=1003),
    Case("an unmasked message", frame(TEXT, b"abc", masked=False), code=1002),
    Case("a pong unasked", frame(PONG, b"hello") + text("a"), (b"a",)),
    Case("a ping of 126 bytes", frame(PING, b"*" * 126), code=1002),
    Case("a pong of 126 bytes", frame(PONG, b"*" * 126), code=1002),
    Case("a fragmented ping", frame(PING, b"a", fin=False), code=1002),
    Case("a fragmented pong", frame(PONG, b"a", fin=False), code=1002),
    Case("a fragmented close", frame(CLOSE, b"\x03\xe8", fin=False), code=1002),
    Case("an unmasked ping", frame(PING, b"a", masked=False), code=1002),
    Case("an unmasked close", frame(CLOSE, b"\x03\xe8", masked=False), code=1002),
    *[Case(f"reserved bits {bits}", frame(TEXT, b"a", reserved=bits), code=1002) for bits in range(1, 8)],
    Case("reserved bits of a ping", frame(PING, reserved=2), code=1002),
    Case("reserved bits of a close", frame(CLOSE, reserved=1), code=1002),
    Case("a message before reserved bits", text("a") + frame(TEXT, b"b", reserved=4), (b"a",), 1002),
    *[Case(f"opcode {code}", frame(code), code=1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    Case("two fragments", text("ab", fin=False) + frame(CONT, b"cd"), (b"abcd",)),
    Case("empty fragments", text("", fin=False) + frame(CONT, fin=False) + frame(CONT), (b"",)),
    Case(
        "an empty fragment between",
        text("a", fin=False) + frame(CONT, fin=False) + frame(CONT, b"b"),
        (b"ab",),
    ),
    Case(
        "many fragments",
        text("a", fin=False) + frame(CONT, b"b", fin=False) * 500 + frame(CONT, b"c"),
        (b"a" + b"b" * 500 + b"c",),
    ),
    Case("a pong between fragments", text("a", fin=False) + frame(PONG) + frame(CONT, b"b"), (b"ab",)),
    Case("a continuation of nothing", frame(CONT, b"a"), code=1002),
    Case("a last continuation of nothing", text("a") + frame(CONT, b"b"), (b"a",), 1002),
    Case("a message amid fragments", text("a", fin=False) + text("b"), code=1002),
    Case("a close amid fragments", text("a", fin=False) + close(1000) + frame(CONT, b"b"), code=1000),
    Case("a continuation of nothing that goes on", frame(CONT, b"a", fin=False) + text("b"), code=1002),
    Case(
        "a message of 65,536 bytes in fragments of 1,300",
        text("*" * 1300, fin=False) + frame(CONT, b"*" * 1300, fin=False) * 49 + frame(CONT, b"*" * 536),
        (b"*" * 65_536,),
    ),
    Case("Greek", text(GREEK), (GREEK,)),
    Case(
        "Greek in pieces of a byte",
        text(GREEK[:1], fin=False)
        + b"".join(frame(CONT, GREEK[at : at + 1], fin=False) for at in range(1, len(GREEK)))
        + frame(CONT),
        (GREEK,),
    ),
    *[Case(f"text {name}", text(data), (data,)) for name, data in GOOD_TEXTS.items()],
    *[Case(f"text with {name}", text(b"a" + data + b"b"), code=1007) for name, data in BAD_TEXTS.items()],
    Case("a cut character", text(GREEK[:3]), code=1007),
    Case("a character cut by the last fragment", text(GREEK[:3], fin=False) + frame(CONT), code=1007),
    Case("bad bytes in a fragment, at once", text(b"a\xff", fin=False), code=1007),
    Case(
        "bad bytes split over fragments", text(b"\xf4", fin=False) + frame(CONT, b"\x90\x80\x80"), code=1007
    ),
    Case("a message after bad bytes", text(b"\xff") + text("a"), code=1007),
    Case("a message after a binary one", frame(BINARY, b"a") + text("a"), code=1003),
    Case("a close without a code", close(), code=None),
    Case("a message before a close", text("a") + close(1000), (b"a",), 1000),
    Case("a message after a close", close(1000) + text("a"), (), 1000),
    Case("two closes", close(1000) + close(1001), (), 1000),
    Case("a ping after a close", close(1000) + frame(PING), (), 1000),
    Case("a close of one byte", frame(CLOSE, b"\x03"), code=1002),
    Case("a close reason of 123 bytes", close(1000, b"*" * 123), code=1000),
    Case("a close reason too long", frame(CLOSE, b"\x03\xe8" + b"*" * 124), code=1002),
    Case("a close reason that is no UTF-8", close(1000, b"\xff"), code=1007),
    *[
        Case(f"close code {code}", close(code), code=code)
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    ],
    *[
        Case(f"close code {code}, which must not be sent", close(code), code=1002)
        for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535)
    ],
    Case("a message above the limit", frame(TEXT, size=LIMIT + 1), code=1009),
    Case("a message of an absurd length", frame(TEXT, size=2**62), code=1009),
    Case("a length with its highest bit set", frame(TEXT, size=2**63, width=8), code=1009),
    Case("fragments above the limit together", text("*" * LIMIT, fin=False) + frame(CONT, b"*"), code=1009),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_each_case(stage: SocketStage, echo: RawSocket, case: Case) -> None:
    neighbour = await stage.open()
    echo.send(case.sent)
    for expected in case.echoed:
        received = await echo.frame()
        assert received == (TEXT, expected)
    if case.code is not None or case.name == "a close without a code":
        assert await echo.closed() == case.code
    else:
        echo.send(text("still here"))
        assert await echo.frame() == (TEXT, b"still here")
    neighbour.send(text("and I"))
    assert await neighbour.frame() == (TEXT, b"and I")
    await neighbour.end()


SMALL_CASES = [case for case in CASES if len(case.sent) < 4000]


@pytest.mark.parametrize("case", SMALL_CASES, ids=[case.name for case in SMALL_CASES])
async def test_each_case_byte_by_byte(stage: SocketStage, case: Case) -> None:
    before = set(stage.sockets)
    echo = await stage.open()
    [server_side] = set(stage.sockets) - before
    for byte in case.sent:
        server_side.data_received(bytes([byte]))
    for expected in case.echoed:
        assert await echo.frame() == (TEXT, expected)
    if case.code is not None or case.name == "a close without a code":
        assert await echo.closed() == case.code
    else:
        echo.send(text("still here"))
        assert await echo.frame() == (TEXT, b"still here")
    await echo.end()


@pytest.mark.parametrize("size", [0, 1, 125])
async def test_a_ping_is_answered_with_its_payload(echo: RawSocket, size: int) -> None:
    echo.send(frame(PING, b"\xff" * size))
    assert await echo.frame() == (PONG, b"\xff" * size)


async def test_pings_amid_fragments_are_answered_before_the_message(echo: RawSocket) -> None:
    echo.send(text("a", fin=False) + frame(PING, b"1") + frame(CONT, b"b", fin=False) + frame(PING, b"2"))
    assert await echo.frame() == (PONG, b"1")
    assert await echo.frame() == (PONG, b"2")
    echo.send(frame(CONT, b"c"))
    assert await echo.frame() == (TEXT, b"abc")


async def test_many_pings_are_all_answered_in_order(echo: RawSocket) -> None:
    echo.send(b"".join(frame(PING, b"%d" % number) for number in range(100)))
    assert [await echo.frame() for _ in range(100)] == [(PONG, b"%d" % number) for number in range(100)]
