"""Room 1: a request arrives, the router picks a step, the answer goes out. One plain ASGI callable.

Owns the order in which a path is looked up (what is the server's own, steps, internal prefixes, files) and
the promise that every request gets exactly one answer, errors as `application/problem+json`. Knows no worker:
steps are run by an `ApiExecutor`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.aside.runner import Aside
from headwater.config import Settings
from headwater.errors import (
    HeadwaterError,
    Limit,
    MethodNotAllowed,
    RouteUnknown,
    SchemaMismatch,
    ShuttingDown,
)
from headwater.holdings import Holdings
from headwater.logline import Line, tell, tell_fault
from headwater.observe import SILENT, Answered, Observer, tell_limit, telling_refusals
from headwater.peer import NOBODY, Peer
from headwater.server.http.authentication import Authentication
from headwater.server.http.bodies import NOTHING, BodyParser, BodyReader, ClientGone, body_reader
from headwater.server.http.cors import Cors
from headwater.server.http.disconnect import while_connected
from headwater.server.http.exchange import Exchange
from headwater.server.http.incoming import read_query, read_root
from headwater.server.http.nested import QUERY_DEPTH, nest
from headwater.server.http.origins import Origins
from headwater.server.http.problem import problem
from headwater.server.http.routing import Match, Router, decode_path
from headwater.server.http.static import PublicFolder, file_response
from headwater.server.peers import peer_of_request
from headwater.steps.project.declare import ApiRequest, ApiResponse, ApiStep, Project
from headwater.steps.project.paths import is_own

logger = logging.getLogger("headwater.http")

CLIENT_GONE = 499
"""What the log calls the status of a request whose client hung up; never sent."""


class ApiExecutor(Protocol):
    """Whoever runs API steps."""

    def run_api(self, step: ApiStep, request: ApiRequest) -> Coroutine[Any, Any, ApiResponse]:
        """Run a step to its end. Raises HeadwaterError; cancelling it stops the step."""
        ...


class HttpApp:
    """Everything the server answers over HTTP."""

    def __init__(
        self,
        settings: Settings,
        executor: ApiExecutor,
        internal: Sequence[tuple[str, ASGIApp]],
        aside: Aside,
        observer: Observer,
        origins: Origins,
        who: Authentication | None,
        bodies: BodyReader | None,
    ) -> None:
        self._who = who
        self._observer = observer
        self._settings = settings
        self._executor = executor
        self._internal = internal
        self._prefixes = tuple(prefix for prefix, _ in internal)
        self._router = Router()
        self._cors = Cors(origins)
        self._bodies = bodies or body_reader(settings)
        self._parser = BodyParser(settings.server, aside)
        self._public = PublicFolder(settings.project / settings.steps.public)
        self._log_level = logging.INFO if settings.dev else logging.DEBUG

    def tell_holdings(self, holdings: Holdings) -> None:
        """Tell of the bodies of requests."""
        limit = Limit("server.max_bodies_bytes", self._settings.server.max_bodies_bytes)
        holdings.add("request bodies", limit, lambda: self._bodies.held)

    def set_project(self, project: Project) -> None:
        """Serve the routes of another generation, from the next request on."""
        self._router = Router(step for step in project.steps if isinstance(step, ApiStep))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. An ASGI application, for scopes of type "http" alone."""
        if scope["type"] != "http":
            raise RuntimeError(f'this application serves HTTP, not "{scope["type"]}"')
        began = time.perf_counter()
        exchange = Exchange(scope, receive, send)
        status = await self._answer(exchange)
        if self._observer.listening:
            seconds = time.perf_counter() - began
            ours = exchange.method, exchange.path, exchange.step, status
            self._observer.answered(Answered(*ours, began, seconds, exchange.trace))
        if logger.isEnabledFor(self._log_level):
            ms = round((time.perf_counter() - began) * 1000, 2)
            line = Line(trace=exchange.trace.id, fields={"status": status, "ms": ms})
            tell(logger, self._log_level, line, "%s %s", exchange.method, exchange.path)

    async def _answer(self, exchange: Exchange) -> int:
        try:
            response = await self._respond(exchange)
        except ClientGone:
            return CLIENT_GONE
        except HeadwaterError as error:
            tell_limit(self._observer, error)
            response = problem(error, exchange.trace.id)
        except asyncio.CancelledError:
            await self._cut_off(exchange)
            raise
        except Exception:
            response = self._failed(exchange)
        if response is None or exchange.status:
            return exchange.status
        try:
            return await exchange.finish(response, self._cors)
        except HeadwaterError as error:
            return await exchange.finish(problem(error, exchange.trace.id), self._cors)

    async def _respond(self, exchange: Exchange) -> ApiResponse | None:
        """The answer, or None when it has been sent already."""
        own = is_own(exchange.path)
        match = None if own else self._router.find(exchange.method, exchange.path)
        if match is not None:
            exchange.step = match.step.name
            return await self._run(exchange, match)
        if self._prefixes and exchange.path.startswith(self._prefixes):
            app = self._internal_app(exchange.path)
            if app is not None:
                if self._cors.is_preflight(exchange.method, exchange.headers):
                    return self._cors.preflight(exchange.path, exchange.headers)
                return await exchange.hand_over(app, self._cors)
        return await self._without_step(exchange, own)

    def _internal_app(self, path: str) -> ASGIApp | None:
        for prefix, app in self._internal:
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
                return app
        return None

    async def _run(self, exchange: Exchange, match: Match) -> ApiResponse:
        who = self._who if self._who is not None and self._who.asks_callers else None
        era, known = (0, NOBODY) if who is None else (who.era, await self._know(who, exchange))
        parsed, raw = NOTHING, b""
        if exchange.unread:
            raw = await self._bodies.read(exchange.receive, exchange.headers)
            exchange.unread = False
        try:
            if who is not None and not who.holds(known, era):  # While its body came.
                known = await self._know(who, exchange)
            parsed = await self._parser.parse(raw, exchange.headers) if raw else NOTHING
            request = ApiRequest(
                method=exchange.method,
                path=exchange.path,
                path_params=match.params,
                query=nest(read_query(exchange.scope["query_string"]), QUERY_DEPTH),
                headers=exchange.headers,
                raw_body=raw,
                body_kind=parsed.kind,
                body=parsed.value,
                trace=exchange.trace.id,
                parent=exchange.trace.parent,
                auth=known.context,
            )
            try:
                work = self._executor.run_api(match.step, request)
                return await while_connected(exchange.scope, exchange.receive, work)
            except SchemaMismatch as error:
                if parsed.kind != "json" and raw and not error.hint:
                    error.hint = "a JSON body is sent with the header content-type: application/json"
                raise
        finally:
            self._bodies.let_go(raw)

    async def _know(self, who: Authentication, exchange: Exchange) -> Peer:
        """Who asks, as far as the head tells.

        :raises HeadwaterError: the request is refused.
        """
        scope = {**exchange.scope, "headwater.path": exchange.path}
        peer = peer_of_request(scope, exchange.headers)
        with telling_refusals(self._observer, peer):
            return await who.know_caller(peer)

    async def _without_step(self, exchange: Exchange, own: bool) -> ApiResponse | None:
        """A file, or what stands against the request."""
        method, path = exchange.method, exchange.path
        if self._cors.is_preflight(method, exchange.headers):
            return self._cors.preflight(exchange.path, exchange.headers)
        allowed = () if own else self._router.allowed(path)
        if not allowed or method in ("GET", "HEAD"):
            file = await self._public.find(decode_path(path))
            if file and method in ("GET", "HEAD"):
                query = exchange.scope["query_string"].decode("latin-1")
                url = read_root(exchange.scope) + path
                return await exchange.hand_over(file_response(file, url, query, exchange.headers), self._cors)
            allowed = allowed or (("GET", "HEAD", "OPTIONS") if file else ())
        if not allowed:
            raise RouteUnknown(f"nothing is served at {path[:500]}", hint=self._near(path), path=path[:500])
        if method == "OPTIONS":
            return ApiResponse(204, [("allow", ", ".join(allowed))], b"")
        raise MethodNotAllowed(f"{path[:500]} does not take {method}", allow=allowed)

    def _near(self, path: str) -> str:
        near = self._router.near(path) if self._settings.dev else []
        return f"did you mean {' or '.join(near)}?" if near else ""

    async def _cut_off(self, exchange: Exchange) -> None:
        """The host ends the request: whoever waits is told, and the host goes on ending it."""
        if not exchange.status:
            error = ShuttingDown("the server shut down before the request ended")
            with suppress(Exception):  # Nothing may take the place of the cancellation.
                await exchange.finish(problem(error, exchange.trace.id), self._cors)

    def _failed(self, exchange: Exchange) -> ApiResponse:
        line = Line(trace=exchange.trace.id)
        tell_fault(logger, line, "the server failed to answer %s %s", exchange.method, exchange.path)
        return problem(
            HeadwaterError("the server failed to answer", hint="the log tells more, under the trace id"),
            exchange.trace.id,
        )


def build_http_app(
    settings: Settings,
    executor: ApiExecutor,
    internal: Sequence[tuple[str, ASGIApp]] = (),
    observer: Observer = SILENT,
    *,
    aside: Aside | None = None,
    origins: Origins | None = None,
    who: Authentication | None = None,
    bodies: BodyReader | None = None,
) -> HttpApp:
    """The HTTP side of the server, without routes until `set_project` is called.

    `internal` lists applications by path prefix ("/streams"); they are asked where no step has the path
    (below `/headwater` whatever steps there are), see it as it came in, and may raise HeadwaterError before
    they answer. `aside` is where large JSON is read; its owner closes it. `origins` are the rules for pages,
    where others keep them too; `who` says who asks, `bodies` reads the
    bodies of all that answers.
    """
    origins = origins or Origins(settings.server, dev=settings.dev)
    return HttpApp(settings, executor, tuple(internal), aside or Aside(), observer, origins, who, bodies)
