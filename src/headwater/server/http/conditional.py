"""Conditional answers (RFC 9110, section 13): entity tags, dates, and 304 for whoever has it already.

Owns what counts as known. What is answered, and under which tag, is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate
from typing import NamedTuple

from starlette.types import Send

from headwater.server.http.cors import Header

CACHE_CONTROL = "no-cache"
"""Browsers keep the answer, but ask each time whether it is still the same."""

_TAG = re.compile(r'"[^"]*"')


class Tagged(NamedTuple):
    """An answer with an entity tag, quotes included."""

    tag: str
    content_type: str
    body: bytes


def knows(tag: str, headers: Mapping[str, str]) -> bool:
    """Whether a request says that its client holds what has this tag. Tags are compared weakly, as for GET;
    "*" is whatever there is."""
    known = headers.get("if-none-match", "").strip()
    return known == "*" or (bool(known) and tag.removeprefix("W/") in _TAG.findall(known))


def knows_file(tag: str, modified: str, headers: Mapping[str, str]) -> bool:
    """The same for what also has a date (an HTTP date). Entity tags count before dates."""
    if "if-none-match" in headers:
        return knows(tag, headers)
    since, changed = parsedate(headers.get("if-modified-since", "")), parsedate(modified)
    return since is not None and changed is not None and since >= changed


async def send_tagged(
    send: Send, method: str, headers: Mapping[str, str], answer: Tagged, more: Sequence[Header] = ()
) -> None:
    """Send an answer to GET or HEAD whole, or 304 where the client has it."""
    lines: list[Header] = [(b"etag", answer.tag.encode()), (b"cache-control", CACHE_CONTROL.encode())]
    if knows(answer.tag, headers):
        await send({"type": "http.response.start", "status": 304, "headers": lines})
        await send({"type": "http.response.body", "body": b""})
        return
    lines += [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", b"%d" % len(answer.body)),
        *more,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
