"""The application in another host: mounted under a path, without a raw path, and cancelled by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.config import Settings
from headwater.server.http.app import build_http_app
from headwater.server.http.client_script import PATH, ClientScript
from headwater.steps.project.declare import ApiRequest, ApiResponse, Project
from support.http_site import InProcess, step, tell


def application(folder: Path, handler: Callable[[ApiRequest], Awaitable[ApiResponse]] = tell) -> ASGIApp:
    (folder / "public/docs").mkdir(parents=True, exist_ok=True)
    (folder / "public/docs/index.html").write_text("<h1>docs</h1>")
    app = build_http_app(
        Settings(project=folder), InProcess({"GET /things/:id": handler}), [(PATH, ClientScript())]
    )
    app.set_project(Project(1, steps=(step("GET /things/:id"),)))
    return app


def without_raw_path(app: ASGIApp) -> ASGIApp:
    """A host that gives no raw path, as ASGI allows."""

    async def host(scope: Scope, receive: Receive, send: Send) -> None:
        await app({name: value for name, value in scope.items() if name != "raw_path"}, receive, send)

    return host


def under_a_path(app: ASGIApp) -> ASGIApp:
    return Starlette(routes=[Mount("/some/place", app=app)])


def stripped(app: ASGIApp) -> ASGIApp:
    """A host that tells where it mounted the application, and takes that off the path itself."""

    async def host(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix("/some/place")
        scope = {**scope, "root_path": "/some/place", "path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    return host


HOSTS: dict[str, Callable[[ASGIApp], ASGIApp]] = {
    "mounted": under_a_path,
    "stripped": stripped,
    "mounted without a raw path": lambda app: under_a_path(without_raw_path(app)),
}


async def ask(app: ASGIApp, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://host") as client:
        return await client.get(path)


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
async def test_everything_is_served_below_the_path(
    tmp_path: Path, host: Callable[[ASGIApp], ASGIApp]
) -> None:
    app = host(application(tmp_path))
    told = await ask(app, "/some/place/things/5?a=1")
    assert (told.status_code, told.json()["path"], told.json()["params"]) == (200, "/things/5", {"id": "5"})
    assert (await ask(app, "/some/place/docs/")).text == "<h1>docs</h1>"
    assert (await ask(app, "/some/place/docs")).headers["location"] == "/some/place/docs/"
    unknown = await ask(app, "/some/place/nothing")
    assert (unknown.status_code, unknown.json()["path"]) == (404, "/nothing")
    assert (await ask(app, f"/some/place{PATH}")).headers["content-type"].startswith("text/javascript")


async def test_names_in_a_path_without_a_raw_one_are_decoded_once(tmp_path: Path) -> None:
    told = await ask(without_raw_path(application(tmp_path)), "/things/100%25%20gr%C3%BCn")
    assert told.json()["params"] == {"id": "100% grün"}


class Host:
    """Runs one request in a task and cancels it."""

    def __init__(self, app: ASGIApp) -> None:
        self.sent: list[dict[str, Any]] = []
        scope = {"type": "http", "method": "GET", "path": "/things/5", "query_string": b"", "headers": []}
        self.task = asyncio.ensure_future(app(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def cancelled(self) -> bool:
        self.task.cancel()
        await asyncio.wait([self.task])
        return self.task.cancelled()


async def test_a_cancelled_request_is_answered_and_stays_cancelled(tmp_path: Path) -> None:
    began = asyncio.Event()

    async def hang(_: ApiRequest) -> ApiResponse:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    host = Host(application(tmp_path, hang))
    await began.wait()
    assert await host.cancelled()
    assert [message["type"] for message in host.sent] == ["http.response.start", "http.response.body"]
    assert host.sent[0]["status"] == 503
    assert orjson.loads(host.sent[1]["body"])["code"] == "SHUTTING_DOWN"


async def test_a_client_that_hangs_up_while_the_host_cancels_hides_nothing(tmp_path: Path) -> None:
    gone, began = asyncio.Event(), asyncio.Event()

    async def hang(_: ApiRequest) -> ApiResponse:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            host.task.cancel()  # The host ends the request while its client's leaving does.
            raise
        raise AssertionError

    class Leaving(Host):
        async def receive(self) -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

    host = Leaving(application(tmp_path, hang))
    await began.wait()
    gone.set()
    await asyncio.wait([host.task])
    assert host.task.cancelled()
