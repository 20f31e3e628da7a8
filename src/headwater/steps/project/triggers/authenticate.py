"""The kind of run `authenticate`: a file of the project is asked who asks. No step type declares it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from headwater.config import Settings
from headwater.errors import HandlerFailed, TooLarge
from headwater.peer import SUBPROTOCOL, is_old_pair
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import Authenticator
from headwater.steps.project.triggers.kind import RunKind


@dataclass(frozen=True, slots=True)
class AuthQuestion:
    """Who asks, as far as its request tells: `token` is what it brings, `url` the path and query, `kind` is
    "http", "websocket" or "sse". It holds secrets."""

    token: str | None
    headers: Mapping[str, str] = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str | list[str]] = field(repr=False)
    url: str = field(repr=False)
    kind: str


def _frame(task: Task, file: Authenticator, asked: AuthQuestion) -> Message:
    if file.old:
        return protocol.invoke(task, "stream_auth", {"request": _as_old_clients_ask(asked)})
    request = {
        "token": asked.token,
        "headers": dict(asked.headers),
        "cookies": asked.cookies,
        "query": asked.query,
        "url": asked.url,
        "kind": asked.kind,
    }
    return protocol.invoke(task, "authenticate", {"request": request})


def _as_old_clients_ask(asked: AuthQuestion) -> dict[str, Any]:
    """What the old format's function gets, which looks for a token where the old clients put it: so wherever
    it was brought, it stands there."""
    headers = dict(asked.headers)
    protocols = headers.get("sec-websocket-protocol", "")
    if asked.token is not None and not is_old_pair(protocols, asked.token):
        headers["sec-websocket-protocol"] = f"{SUBPROTOCOL}, {asked.token}"
    return {"headers": headers, "url": asked.url}


def _context(settings: Settings, result: Message) -> bytes | None:
    """The context as JSON text, None for nobody; nothing but a clear answer is one.

    :raises HandlerFailed: it is no context.
    """
    if result.header.get("known") is False:
        return None
    text = bytes(result.sections[0]) if result.sections else b""
    try:
        context = orjson.loads(text)
    except orjson.JSONDecodeError:
        context = None
    if result.header.get("known") is not True or not isinstance(context, dict):
        raise HandlerFailed("authenticate gave no context", hint="Return an object, or nothing for nobody.")
    check_times(cast("dict[str, Any]", context))
    most = settings.auth.max_context_bytes
    if len(text) > most:
        raise TooLarge(
            f"The context of authenticate has {len(text)} bytes; the limit is {most}.",
            hint="Keep in it what rules need, or raise [auth] max_context_bytes.",
            size=len(text),
            limit=most,
        ).at("auth.max_context_bytes", most)
    return text


MOST_SECONDS = 1e11
"""The year 5138; a time above it is one in milliseconds."""


def check_times(context: dict[str, Any], names: tuple[str, ...] = ("exp", "iat")) -> None:
    """See that what says when the context was given and when it ends can be read: what cannot ends never.

    :raises HandlerFailed: it cannot.
    """
    for name in names:
        value = context.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise HandlerFailed(
                f'the context has an "{name}" of type {type(value).__name__}', hint=_TIMES_HINT
            )
        if not math.isfinite(value):
            raise HandlerFailed(f'the context has an "{name}" that is {value}', hint=_TIMES_HINT)
        if value > MOST_SECONDS:
            raise HandlerFailed(f'the context has an "{name}" in milliseconds', hint=_TIMES_HINT)


_TIMES_HINT = "Times are seconds since 1970."


def _secrets(asked: AuthQuestion) -> list[str]:
    given = (asked.token, asked.headers.get("authorization"), *asked.cookies.values())
    return [secret for secret in given if secret]


AUTHENTICATE: RunKind[Authenticator, AuthQuestion, bytes | None] = RunKind(
    name="authenticate",
    frame=_frame,
    answer=_context,
    seconds=lambda settings, _file: settings.workers.access_timeout,
    waits=True,
    often=True,
    told=lambda failure: f"authenticate failed, so the request is refused: {failure.reason}",
    secrets=_secrets,
)
