"""A project on the disk, and a runtime with real worker processes that runs it."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from headwater.config import Settings, WorkerSettings
from headwater.steps.project.declare import ApiRequest, ApiResponse, ApiStep, Problem
from headwater.steps.runtime import StepRuntime
from headwater.steps.services.streams import stream_service
from headwater.tasks import Supervisor
from support.ear import Ear
from support.steps_streams import DiaryStreams

_TRACES = itertools.count(1)


def api(path: str, body: str, *, top: str = "", method: str = "POST", **config: Any) -> str:
    """The source of an API step; `body` is the body of its handler."""
    declared = {"type": "api", "name": path.strip("/") or "root", "path": path, "method": method, "emits": []}
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return (
        f"{textwrap.dedent(top)}\nconfig = {declared | config!r}\n\nasync def handler(req, ctx):\n{lines}\n"
    )


def stream(name: str, more: str = "") -> str:
    """The source of a stream."""
    return f"config = {{'name': {name!r}, 'schema': None}}\n{textwrap.dedent(more)}\n"


class Site:
    """A project's folder and the runtime that serves it."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root
        self.streams = DiaryStreams()
        self.ear = Ear()
        self.runtime = StepRuntime(settings, observer=self.ear)
        self.runtime.offer("streams", stream_service(self.streams))

    def write(self, files: dict[str, str]) -> None:
        write(self.root, files)

    def step(self, path: str) -> ApiStep:
        """The API step of a route."""
        return next(step for step in self.runtime.project.routes if step.path == path)

    async def post(self, path: str, sent: Any = None, **more: Any) -> ApiResponse:
        """Run the step of a route with a JSON body; `more` are other fields of the request."""
        step = self.step(path)
        return await self.runtime.run_api(step, request(step, sent, **more))

    async def json(self, path: str, sent: Any = None, **more: Any) -> Any:
        """The JSON that a step answers."""
        return orjson.loads((await self.post(path, sent, **more)).body)

    def problem(self, code: str) -> Problem:
        """The one problem of this code."""
        found = [problem for problem in self.runtime.project.problems if problem.code == code]
        assert len(found) == 1, self.runtime.project.problems
        return found[0]

    @property
    def pool(self) -> Any:
        return self.runtime._current.pools["python"]  # pyright: ignore


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def request(step: ApiStep, sent: Any = None, **more: Any) -> ApiRequest:
    """A request with a JSON body, or without one."""
    raw = b"" if sent is None else orjson.dumps(sent)
    given = ApiRequest(
        method=step.method,
        path=step.path,
        path_params={},
        query={},
        headers={},
        raw_body=raw,
        body_kind="none" if sent is None else "json",
        body={} if sent is None else sent,
        trace=f"trace-{next(_TRACES)}",
    )
    return replace(given, **more)


@asynccontextmanager
async def serving(
    root: Path, files: dict[str, str], *, dev: bool = False, settings: Settings | None = None, **workers: Any
) -> AsyncIterator[Site]:
    """A started runtime; `workers` are settings of the section of that name. It has one worker, unless a
    test says more: each costs what the start of a process does."""
    write(root, files)
    given = settings or Settings(project=root, dev=dev)
    usual = {"drain_timeout": 2.0, "size": given.workers.size or 1}
    own = replace(given.workers, **{**usual, **workers})
    site = Site(root, replace(given, workers=own, server=replace(given.server, shutdown_timeout=2.0)))
    await site.runtime.start()
    tasks = Supervisor()
    if given.dev:
        tasks.start("watching", site.runtime.watch)
    try:
        yield site
    finally:
        await tasks.close()
        site.streams.release()
        await site.runtime.close()


__all__ = ["Site", "WorkerSettings", "api", "request", "serving", "stream", "write"]
