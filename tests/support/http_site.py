"""A real HTTP server on a free port for tests; its steps run in this process, in the place of workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
from starlette.types import ASGIApp

from headwater.aside.runner import Aside
from headwater.config import ServerSettings, Settings
from headwater.server.http.app import HttpApp, build_http_app
from headwater.server.http.forwarded import Proxies
from headwater.server.listen.addresses import Addresses
from headwater.server.listen.serve import HttpServer
from headwater.steps.project.declare import ApiRequest, ApiResponse, ApiStep, Project
from support.ear import Ear

Handler = Callable[[ApiRequest], Awaitable[ApiResponse]]


def as_json(value: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> ApiResponse:
    return ApiResponse(status, [("content-type", "application/json"), *headers], orjson.dumps(value))


async def tell(request: ApiRequest) -> ApiResponse:
    """A handler that answers what it was given."""
    return as_json(
        {
            "method": request.method,
            "path": request.path,
            "params": request.path_params,
            "query": request.query,
            "headers": request.headers,
            "kind": request.body_kind,
            "body": request.body,
            "raw": request.raw_body.decode("latin-1"),
            "trace": request.trace,
        }
    )


def step(route: str, **more: Any) -> ApiStep:
    """A step from "METHOD /path"; its name is the route."""
    method, path = route.split(" ", 1)
    return ApiStep(file="steps/x_step.py", language="python", name=route, path=path, method=method, **more)  # type: ignore[arg-type]


@dataclass
class InProcess:
    """Runs the handler that was given for a step's name."""

    handlers: dict[str, Handler]
    requests: list[ApiRequest] = field(default_factory=list)

    async def run_api(self, step: ApiStep, request: ApiRequest) -> ApiResponse:
        self.requests.append(request)
        return await self.handlers[step.name](request)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and body of the next answer on a connection; its body must have a length."""
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


@dataclass
class Site:
    """A running server and a client for it."""

    app: HttpApp
    server: HttpServer
    client: httpx.AsyncClient
    executor: InProcess
    ear: Ear
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def serve(self, routes: dict[str, Handler], generation: int = 2) -> None:
        """Replace the routes, as a reload does."""
        self.executor.handlers.update(routes)
        self.app.set_project(Project(generation, tuple(step(route) for route in routes)))

    async def raw(self, data: bytes) -> bytes:
        """Send bytes and read all that comes until the server closes."""
        reader, writer = await self.connect()
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 20)

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw connection, closed with the site at the latest."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, **options)
        self.writers.append(writer)
        return reader, writer

    async def hang_up(self) -> None:
        """Close every raw connection."""
        for writer in self.writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self.writers), return_exceptions=True)


@asynccontextmanager
async def serving(
    routes: dict[str, Handler] | None = None,
    *,
    project: Path = Path("/nonexistent"),
    dev: bool = False,
    internal: Sequence[tuple[str, ASGIApp]] = (),
    ws_class: type[asyncio.Protocol] | None = None,
    counts_loopback: bool = False,
    **server: Any,
) -> AsyncIterator[Site]:
    """A server of these routes ("METHOD /path": handler); further names are settings of `[server]`.
    With `counts_loopback`, addresses of this machine are strangers' as any other."""
    limits = replace(ServerSettings(port=0), **server)
    executor = InProcess({})
    aside = Aside()
    settings = Settings(project=project, dev=dev, server=limits)
    app = build_http_app(settings, executor, internal, aside=aside)
    ear = Ear()
    http = HttpServer(app, limits, ws_class, ear)
    if counts_loopback:
        http._config.addresses = Addresses(limits, Proxies(limits), excepts_loopback=False)
    async with http, httpx.AsyncClient(base_url=http.url, timeout=30) as client:
        site = Site(app, http, client, executor, ear)
        site.serve(routes or {}, 1)
        try:
            yield site
        finally:
            await site.hang_up()
            await aside.close()
