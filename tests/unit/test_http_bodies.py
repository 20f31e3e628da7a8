"""Bodies by content type, and what is wrong with those that cannot be read."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import orjson
import pytest

from headwater.aside.runner import Aside
from headwater.config import ServerSettings
from headwater.errors import BodyInvalid, BodyUnsupported, Limit, Overloaded, TooComplex, TooLarge
from headwater.heavyjson import HeavyJson
from headwater.server.http import forms
from headwater.server.http.bodies import BodyParser, BodyReader

LIMIT = 1024 * 1024
SETTINGS = ServerSettings(max_form_bytes=LIMIT, max_body_values=100_000, max_body_depth=50)
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=line"


async def parsed(raw: bytes, content_type: str | None = None, **headers: str) -> tuple[str, Any]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        given["content-type"] = content_type
    aside = Aside()
    try:
        kind, value = await BodyParser(SETTINGS, aside).parse(raw, given)
    finally:
        await aside.close()
    large_form = kind == "inline" and isinstance(value, HeavyJson)
    return kind, orjson.loads(value.text) if large_form else value


def multipart(*parts: tuple[str, bytes]) -> bytes:
    lines = [b"--line\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts]
    return b"".join(lines) + b"--line--\r\n"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/vnd.api+json",
        "application/merge-patch+json; v=1",
    ],
)
async def test_json_types_are_parsed(content_type: str) -> None:
    assert await parsed(b'{"a": [1, "\xc3\xa9"]}', content_type) == ("json", {"a": [1, "é"]})


@pytest.mark.parametrize("value", [b"null", b"1", b'"x"', b"[]", b" {} \n"])
async def test_any_json_value_is_a_body(value: bytes) -> None:
    assert (await parsed(value, "application/json"))[0] == "json"


@pytest.mark.parametrize("content_type", [None, "application/json", URLENCODED, MULTIPART, "text/plain"])
async def test_an_empty_body_is_an_empty_object(content_type: str | None) -> None:
    assert await parsed(b"", content_type) == ("none", {})


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/octet-stream", "nonsense", "json"]
)
async def test_every_other_type_is_text(content_type: str | None) -> None:
    assert await parsed(b"\xff{}", content_type) == ("text", None)


async def test_broken_json_is_refused_with_the_place() -> None:
    with pytest.raises(BodyInvalid) as caught:
        await parsed(b'{"a": 1,\n "b": }', "application/json")
    details = caught.value.details
    assert (details["line"], details["column"], details["offset"]) == (2, 7, 15)
    assert "line 2, column 7" in caught.value.message


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"   ",
        b"NaN",
        b"{'a': 1}",
        b"[1,]",
        b'"\xff"',
        b'["\\ud800", NaN]',
        b'"\\ud800',
        b'"\\ud800"' + b" " * (1024 * 1024),
        b"\x00",
        b'{"a":1}{}',
    ],
)
async def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(BodyInvalid):
        await parsed(raw, "application/json")


async def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    raw = rb'{"a\udc00": "x\ud800y", "pair": "\ud83d\ude00", "n": 1234567890123456789}'
    expected = {"a\ufffd": "x\ufffdy", "pair": "\N{GRINNING FACE}", "n": 1234567890123456789}
    assert await parsed(raw, "application/json") == ("json", expected)


async def test_a_byte_order_mark_is_named() -> None:
    with pytest.raises(BodyInvalid, match="byte order mark"):
        await parsed(b"\xef\xbb\xbf{}", "application/json")


@pytest.mark.parametrize(
    ("raw", "details"),
    [
        (b"[" * 51 + b"]" * 51, {"depth": 50}),
        (b"[" * 100_000, {"depth": 50}),
        (b"[" + b"[]," * 100_000 + b"[]]", {"limit": 100_000}),
        (b"[" + b'"' * 2_000_000 + b",[]" * 100_000 + b"]", {"limit": 100_000}),
    ],
)
async def test_json_that_holds_or_nests_too_much_is_refused(raw: bytes, details: dict[str, int]) -> None:
    with pytest.raises(TooComplex) as caught:
        await parsed(raw, "application/json")
    assert caught.value.details == details
    assert "max_body_values" in caught.value.hint
    setting = "server.max_body_values" if "limit" in details else "server.max_body_depth"
    assert caught.value.limit == Limit(setting, *details.values())


async def test_large_json_is_read_beside_the_loop_and_stays_a_text() -> None:
    raw = b"[" + b"{}," * 30_000 + b"{}]"
    kind, value = await parsed(raw, "application/json")
    assert (kind, type(value), value.text) == ("json", HeavyJson, raw)
    with pytest.raises(BodyInvalid) as caught:
        await parsed(raw[:-1], "application/json")
    assert caught.value.details == {"line": 1, "column": len(raw), "offset": len(raw) - 1}


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-16", f"{URLENCODED}; charset=latin1"]
)
async def test_a_charset_other_than_utf_8_is_refused(content_type: str) -> None:
    with pytest.raises(BodyUnsupported, match="charset"):
        await parsed(b"{}", content_type)


async def test_a_compressed_body_is_refused_rather_than_misread() -> None:
    with pytest.raises(BodyUnsupported, match="gzip"):
        await parsed(b"\x1f\x8b", "application/json", content_encoding="gzip")
    assert await parsed(b"{}", "application/json", content_encoding="identity") == ("json", {})


async def test_an_urlencoded_form_keeps_blanks_and_lists_what_repeats() -> None:
    raw = "a=1&b=x+y%20z&c=&a=2&d=é".encode()
    assert await parsed(raw, URLENCODED) == ("inline", {"a": ["1", "2"], "b": "x y z", "c": "", "d": "é"})


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=\xff", b"&".join([b"a=1"] * 1001)])
async def test_a_broken_urlencoded_form_is_refused(raw: bytes) -> None:
    with pytest.raises(BodyInvalid):
        await parsed(raw, URLENCODED)


@pytest.mark.parametrize("raw", [b"a=%ff" + b"%41" * 100_000, b"&".join([b"a=" + b"1" * 100] * 1001)])
async def test_a_long_broken_form_is_refused_too(raw: bytes) -> None:
    with pytest.raises(BodyInvalid):
        await parsed(raw, URLENCODED)


async def test_a_long_urlencoded_form_is_read_too() -> None:
    raw = b"a=" + b"%41" * 200_000
    assert await parsed(raw, URLENCODED) == ("inline", {"a": "A" * 200_000})


async def test_a_multipart_form_gives_text_fields_and_files() -> None:
    data = bytes(range(256)) * 1000
    raw = multipart(
        ('Content-Disposition: form-data; name="title"', "Grüße".encode()),
        ('Content-Disposition: form-data; name="tag"', b"a"),
        ('Content-Disposition: form-data; name="tag"', b""),
        ('Content-Disposition: form-data; name="f"; filename="\u00e4.png"\r\nContent-Type: image/png', data),
        ('Content-Disposition: form-data; name="g"; filename=""', b""),
    )
    kind, fields = await parsed(raw, MULTIPART)
    assert kind == "inline"
    assert fields["title"] == "Grüße"
    assert fields["tag"] == ["a", ""]
    assert base64.b64decode(fields["f"].pop("data")) == data
    assert fields["f"] == {"filename": "ä.png", "contentType": "image/png", "size": len(data)}
    assert fields["g"] == {"filename": "", "contentType": "application/octet-stream", "size": 0, "data": ""}


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b"whatever", "multipart/form-data"),
        (b"whatever", "multipart/form-data; boundary="),
        (b"no boundary here", MULTIPART),
        (multipart(("Content-Type: text/plain", b"x")), MULTIPART),
        (multipart(("Content-Disposition: form-data", b"x")), MULTIPART),
        (multipart(*[('Content-Disposition: form-data; name="a"', b"")] * 1001), MULTIPART),
        (multipart(('Content-Disposition: form-data; name="a"', b"x" * 100))[:60], MULTIPART),
        (b"--line\r\n" + b"a: b\r\n" * 5000 + b"\r\n", MULTIPART),
    ],
)
async def test_a_broken_multipart_form_is_refused(raw: bytes, content_type: str) -> None:
    with pytest.raises(BodyInvalid):
        await parsed(raw, content_type)


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
async def test_a_form_above_its_limit_is_refused(content_type: str) -> None:
    with pytest.raises(TooLarge) as caught:
        await parsed(b"x" * (LIMIT + 1), content_type)
    assert caught.value.details == {"limit": LIMIT, "size": LIMIT + 1}


@pytest.mark.parametrize("filler", [b"\r\n", b"\r\n--lin", b"-", b"\r", b"x"])
def test_no_multipart_body_is_slow_to_parse(filler: bytes) -> None:
    data = filler * (LIMIT // 2 // len(filler))
    raw = multipart(('Content-Disposition: form-data; name="f"; filename="f"', data))
    began = time.process_time()
    fields = orjson.loads(forms.multipart(raw, {"type": MULTIPART, "limit": LIMIT}))
    assert fields["f"]["size"] == len(data)
    assert time.process_time() - began < 5


async def test_a_body_in_pieces_of_any_size_is_put_together_in_order() -> None:
    sizes = [1, 5, 70_000, 0, 3, 4096, 4095, 1, 1, 9000]
    raw = bytes(i % 251 for i in range(sum(sizes)))
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    messages = iter(
        {"type": "http.request", "body": raw[start : start + size], "more_body": i < len(sizes) - 1}
        for i, (start, size) in enumerate(zip(starts, sizes, strict=True))
    )

    async def receive() -> Any:
        return next(messages)

    assert await BodyReader(len(raw), len(raw)).read(receive, {}) == raw


class Upload:
    """A body that comes in pieces, when it is told to."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()

    def send(self, piece: bytes, *, more: bool = True) -> None:
        self._pieces.put_nowait((piece, more))

    async def receive(self) -> dict[str, Any]:
        piece, more = await self._pieces.get()
        return {"type": "http.request", "body": piece, "more_body": more}


def begun(bodies: BodyReader, *pieces: bytes) -> tuple[Upload, asyncio.Task[bytes]]:
    upload = Upload()
    for piece in pieces:
        upload.send(piece)
    return upload, asyncio.create_task(bodies.read(upload.receive, {}))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_above_the_limit_of_all_bodies_the_oldest_that_is_not_whole_is_given_up() -> None:
    bodies = BodyReader(1000, 1000)
    _, first = begun(bodies, b"x" * 400)
    _, second = begun(bodies, b"x" * 400)
    await settled()
    assert bodies.held == 800
    third, reading = begun(bodies, b"x" * 300)
    with pytest.raises(Overloaded) as told:
        await first
    assert told.value.limit == Limit("server.max_bodies_bytes", 1000)
    assert (bodies.held, second.done()) == (700, False)
    third.send(b"x" * 300, more=False)
    raw = await reading
    assert (len(raw), bodies.held) == (600, 1000)
    second.cancel()
    await asyncio.wait([second])
    bodies.let_go(raw)
    assert bodies.held == 0


async def test_where_all_bodies_are_whole_the_last_is_refused() -> None:
    bodies = BodyReader(1000, 1000)
    whole, reading = begun(bodies, b"x" * 400)
    whole.send(b"x" * 500, more=False)
    raw = await reading
    small = Upload()
    small.send(b"x" * 200, more=False)
    with pytest.raises(Overloaded):
        await bodies.read(small.receive, {})
    _, partial = begun(bodies, b"x" * 200)
    with pytest.raises(Overloaded):
        await partial
    assert bodies.held == len(raw)


async def test_who_is_given_up_as_its_last_piece_comes_is_refused_all_the_same() -> None:
    bodies = BodyReader(1000, 1000)
    first, reading = begun(bodies, b"x" * 600)
    await settled()
    _, second = begun(bodies, b"x" * 600)
    first.send(b"x", more=False)
    with pytest.raises(Overloaded):
        await reading
    assert bodies.held == 600
    second.cancel()
    await asyncio.wait([second])
    assert bodies.held == 0
