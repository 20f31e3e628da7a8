"""Forms as JSON values, urlencoded and multipart. Owns what a file in a form becomes.

A field is text, or a list where its name repeats; names with brackets are nested (`nested.py`). A file is
`{filename, contentType, size, data}`, `data` being its bytes in base64: a form travels to the worker as JSON.
A large form is parsed in the process beside.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from headwater.aside.runner import Aside
from headwater.errors import BodyInvalid, TooLarge
from headwater.heavyjson import HeavyJson
from headwater.peer import MOST_PARAMETERS, collect
from headwater.server.http.nested import FORM_DEPTH, nest

# What is malformed goes to whoever sent it; in the log it would let strangers write there at will.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

LOOP_BYTES = 16 * 1024
"""The size up to which a form is parsed without leaving the loop: 4 ms for one of 300 empty parts, which cost
15 us each (measured)."""


async def parse_form(raw: bytes, content_type: str, limit: int, aside: Aside) -> dict[str, Any] | HeavyJson:
    """The fields of a form by name. A large one is parsed beside the loop, and stays a text.

    Raises TooLarge for a form of more than `limit` bytes, BodyInvalid for one that is malformed or holds more
    than `MOST_PARAMETERS` fields or files.
    """
    if len(raw) > limit:
        raise TooLarge(
            f"the form is larger than {limit} bytes",
            hint="max_form_bytes in [server] of headwater.toml sets the limit; raw bodies may be larger",
            limit=limit,
            size=len(raw),
        ).at("server.max_form_bytes", limit)
    is_multipart = content_type.lower().startswith("multipart/")
    if len(raw) > LOOP_BYTES:
        given = {"type": content_type, "limit": limit}
        return HeavyJson(await aside.run(multipart if is_multipart else urlencoded, raw, given), aside)
    return await _multipart(raw, content_type, limit) if is_multipart else _urlencoded(raw)


def multipart(raw: bytes, given: Mapping[str, Any]) -> bytes:
    """The fields of a multipart form, as JSON text. Run in the process beside."""
    return orjson.dumps(asyncio.run(_multipart(raw, given["type"], given["limit"])))


def urlencoded(raw: bytes, _given: Mapping[str, Any]) -> bytes:
    """The fields of an urlencoded form, as JSON text. Run in the process beside."""
    return orjson.dumps(_urlencoded(raw))


def _urlencoded(raw: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except UnicodeDecodeError:
        raise BodyInvalid("the form is not UTF-8") from None
    except ValueError:
        raise BodyInvalid(f"the form has more than {MOST_PARAMETERS} fields") from None
    return nest(collect(pairs), FORM_DEPTH)


class _Parser(MultiPartParser):
    """Starlette's parser, kept from writing files to disk: the body is in memory already."""

    def __init__(self, headers: Headers, pieces: AsyncGenerator[bytes, None], limit: int) -> None:
        super().__init__(
            headers, pieces, max_files=MOST_PARAMETERS, max_fields=MOST_PARAMETERS, max_part_size=limit
        )
        self.spool_max_size = limit + 1
        self.ended = False

    def on_end(self) -> None:
        self.ended = True


async def _multipart(raw: bytes, content_type: str, limit: int) -> dict[str, Any]:
    parser = _Parser(Headers({"content-type": content_type}), _whole(raw), limit)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BodyInvalid(f"the multipart form is malformed: {error.message}") from None
    try:
        if not parser.ended:
            raise BodyInvalid("the multipart form breaks off before its last boundary")
        fields: dict[str, Any] = {}
        for name in form:
            values = [
                _file(value) if isinstance(value, UploadFile) else value for value in form.getlist(name)
            ]
            fields[name] = values[0] if len(values) == 1 else values
        return nest(fields, FORM_DEPTH)
    finally:
        await form.close()


async def _whole(raw: bytes) -> AsyncGenerator[bytes, None]:
    yield raw


def _file(upload: UploadFile) -> dict[str, Any]:
    data = upload.file.read()
    return {
        "filename": upload.filename or "",
        "contentType": upload.content_type or "application/octet-stream",
        "size": len(data),
        "data": base64.b64encode(data).decode("ascii"),
    }
