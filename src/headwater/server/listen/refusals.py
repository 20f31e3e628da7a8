"""What a connection answers by itself to requests that the application does not see. Owns the errors and how
they are written; when a connection refuses is its own business."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from headwater.errors import HeadersTooLarge, HeadwaterError, Overloaded, RequestTooSlow
from headwater.response_rules import TRACE_HEADER
from headwater.server.http.cors import Header
from headwater.server.http.outgoing import encode_headers
from headwater.server.http.problem import problem
from headwater.trace import new_trace

MOST_HEADERS = 500
"""Header lines of one request."""


def too_many_connections(most: int) -> HeadwaterError:
    """The server holds `max_connections`."""
    error = Overloaded(f"the server holds {most} connections, its most", limit=most)
    return error.at("server.max_connections", most)


def headers_too_large(limit: int) -> HeadwaterError:
    """A request's head is above `max_header_bytes`, or has too many lines."""
    text = f"the request line and headers are above {limit} bytes or {MOST_HEADERS} lines"
    error = HeadersTooLarge(text, hint="max_header_bytes in [server] of headwater.toml", limit=limit)
    return error.at("server.max_header_bytes", limit)


def too_slow(limit: float) -> HeadwaterError:
    """A request did not arrive within `read_timeout`."""
    error = RequestTooSlow(f"the request was not whole in time ({limit:g} s)", seconds=limit)
    return error.at("server.read_timeout", limit)


class Refusal(NamedTuple):
    """The answer to what is refused, after which the connection ends."""

    status: int
    headers: list[Header]
    body: bytes


def refusal(error: HeadwaterError) -> Refusal:
    """The answer that tells an error."""
    response = problem(error, trace := new_trace())
    lines = [*encode_headers(response), (TRACE_HEADER.encode(), trace.encode()), (b"connection", b"close")]
    return Refusal(response.status, lines, response.body)


def refusal_bytes(error: HeadwaterError, default_headers: Iterable[Header]) -> bytes:
    """The whole answer as it is written."""
    answer = refusal(error)
    lines = (*default_headers, *answer.headers)
    head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
    return STATUS_LINE[answer.status] + head + b"\r\n" + answer.body


def refusing(error: HeadwaterError, tell: Callable[[HeadwaterError], None]) -> ASGIApp:
    """The application of a connection that is one too many; `tell` hears of each request."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        tell(error)
        answer = refusal(error)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    return refuse
