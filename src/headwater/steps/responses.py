"""What a worker answered for an API step, made into an HTTP response.

Owns the rules of a response: which statuses and headers may be, the content type where none is given, the
header that names stream items. Knows no process and no HTTP library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast
from urllib.parse import quote

from headwater.errors import HandlerFailed
from headwater.protocol.workers.messages import Message
from headwater.response_rules import (
    BODILESS,
    SERVER_OWNED,
    STATUS_RULE,
    VALUE_HINT,
    is_name,
    is_status,
    is_value,
)
from headwater.steps.project.declare import ApiResponse

ITEMS_HEADER = "x-headwater-items"
"""Names the stream items in the body: `stream/group/id@version`, percent-encoded parts, joined by ", "."""

_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_TEXTUAL = re.compile(
    r"\s*(?:text/|application/(?:[\w.-]+\+)?(?:xml|javascript|ecmascript)\b)", re.IGNORECASE
)

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""What percent-encoding leaves as it is."""

_HTML, _PLAIN_TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"

TextBodies = Literal["auto", "html", "plain"]
"""What text without a content type is; "auto": HTML where it begins like a page, with `<`."""


def response_of(result: Message, text_bodies: TextBodies = "auto") -> ApiResponse:
    """The response that a successful `result` message describes.

    :raises HandlerFailed: it describes none; the message says what is wrong with it.
    """
    header = result.header
    status = _status(header.get("status"))
    body = bytes(result.sections[0]) if result.sections and status not in BODILESS else b""
    given, items = _expect(dict, "headers", header), _expect(list, "items", header)
    kind = str(header.get("body_kind"))
    headers = _with_charsets(_user_headers(given), kind) if given else []
    if status not in BODILESS and kind != "none" and "content-type" not in dict(headers):
        headers.insert(0, ("content-type", _content_type(kind, body, text_bodies)))
    if items:
        headers.append((ITEMS_HEADER, items_header(items)))
    return ApiResponse(status, headers, body)


def _content_type(kind: str, body: bytes, text_bodies: TextBodies) -> str:
    """The content type by body kind, where the step says none."""
    match kind:
        case "json":
            return "application/json"
        case "text" if text_bodies == "html" or (text_bodies == "auto" and _PAGE.match(body)):
            return _HTML
        case "text":
            return _PLAIN_TEXT
        case _:
            return "application/octet-stream"


def _with_charsets(headers: Iterable[tuple[str, str]], kind: str) -> list[tuple[str, str]]:
    """The step's headers, with what its content type leaves unsaid."""
    if kind not in ("text", "json"):
        return list(headers)
    return [(name, _with_charset(value) if name == "content-type" else value) for name, value in headers]


def _with_charset(content_type: str) -> str:
    """A content type of text as workers send it, which is UTF-8: without a word about it browsers guess."""
    silent = _TEXTUAL.match(content_type) and "charset" not in content_type.lower()
    return f"{content_type.rstrip('; ')}; charset=utf-8" if silent else content_type


def items_header(items: Iterable[Any]) -> str:
    """The value that names these `[stream, group, id, version]`; "" for none."""
    return ", ".join(
        "/".join([_quoted(str(part)) for part in key]) + f"@{int(version)}" for *key, version in items
    )


def _quoted(part: str) -> str:
    """A part of a name; most need no quoting, which is quicker to see than to do."""
    return part if _PLAIN.fullmatch(part) else quote(part, safe="")


def _expect(kind: type[Any], member: str, header: Mapping[str, Any]) -> Any:
    """A member of the answer, empty where it is missing."""
    value = header.get(member)
    if value is not None and type(value) is not kind:
        raise HandlerFailed(f'The worker answered with "{member}" of type {type(value).__name__}')
    return value or kind()


def _status(status: Any) -> int:
    if not is_status(status):
        raise HandlerFailed(f'"status" must be {STATUS_RULE}, not {status!r:.40}')
    return status


def _user_headers(headers: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in headers.items():
        if not is_name(name):
            raise HandlerFailed(f"{name!r:.80} is no name for a header")
        if name.lower() not in SERVER_OWNED:
            yield from ((name.lower(), one) for one in _values(name, value))


def _values(name: str, value: Any) -> list[str]:
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    texts = [one if isinstance(one, str) else str(one) for one in values]
    if not all(map(is_value, texts)):
        raise HandlerFailed(f'The header "{name}" holds a character that no header may hold', hint=VALUE_HINT)
    return texts
