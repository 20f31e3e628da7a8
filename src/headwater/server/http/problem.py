"""Errors as HTTP answers: `application/problem+json` (RFC 9457). Never lets a traceback out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson

from headwater.errors import HeadwaterError
from headwater.steps.project.declare import ApiResponse

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = "1"
"""Seconds after which a client may try again what met 429 or 503."""

INERT = "default-src 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of what is the server's own: a browser that shows it runs nothing and lets no page
frame it."""

_OWN = frozenset({"type", "title", "status", "detail", "code", "hint", "trace", "traceId", "traceback"})
"""Members that details of an error cannot replace or say twice, and the one that never leaves the server."""


def problem(error: HeadwaterError, trace: str) -> ApiResponse:
    """An error as `{type, title, status, detail, code, hint?, traceId}` and the error's details."""
    body: dict[str, Any] = {
        "type": f"urn:headwater:error:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.hint:
        body["hint"] = error.hint
    body.update((name, value) for name, value in error.details.items() if name not in _OWN)
    body["traceId"] = trace
    headers = [
        ("content-type", CONTENT_TYPE),
        ("cache-control", "no-store"),
        ("content-security-policy", INERT),
    ]
    headers += what_to_do(error.status)
    if "allow" in error.details:
        headers.append(("allow", ", ".join(error.details["allow"])))
    return ApiResponse(error.status, headers, encode(body))


def what_to_do(status: int) -> list[tuple[str, str]]:
    """Headers by which a program learns what to do about a status, whoever answers with it."""
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return [("retry-after", RETRY_AFTER)]
    return [("www-authenticate", "Bearer")] if status == HTTPStatus.UNAUTHORIZED else []


def encode(body: dict[str, Any]) -> bytes:
    """JSON text of a problem; what JSON cannot hold becomes text, because an error must always get out."""
    try:
        return orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):
        return orjson.dumps({name: ascii(value) for name, value in body.items()})
