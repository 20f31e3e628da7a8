"""A whole server in this process over a project of TypeScript files, with a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.app import Running
from headwater.config import ServerSettings, Settings, StorageSettings
from headwater.lifetime import running
from headwater.steps.workers.node import LOOK
from support.steps_project import write


class NodeSite:
    """A running server and a client for it."""

    def __init__(self, root: Path, server: Running, client: httpx.AsyncClient) -> None:
        self.root = root
        self.server = server
        self.client = client

    def write(self, files: dict[str, str]) -> None:
        write(self.root, files)

    async def post(self, path: str, body: object = None) -> httpx.Response:
        return await self.client.post(path, json={} if body is None else body)


def step(path: str, body: str, *, top: str = "", config: str = "") -> str:
    """The source of a TypeScript API step; `body` is the body of its handler, `config` more of its config."""
    name = path.strip("/").replace("/", "-").replace(":", "")
    declared = f"type: 'api', name: '{name}', path: '{path}', method: 'POST', emits: [], {config}"
    handler = f"export const handler = async (req, ctx) => {{\n{body}\n}}\n"
    return f"{top}\nexport const config = {{ {declared} }}\n{handler}"


STREAM = "export const config = { name: 'notes', schema: { type: 'object' } }\n"


@asynccontextmanager
async def node_site(
    root: Path, files: dict[str, str], *, dev: bool = True, node: str | Path = LOOK
) -> AsyncIterator[NodeSite]:
    write(root, {"steps/notes.stream.ts": STREAM, **files})
    settings = Settings(
        project=root, dev=dev, server=ServerSettings(port=0), storage=StorageSettings(url="memory:")
    )
    settings = replace(settings, workers=replace(settings.workers, drain_timeout=2.0, node=str(node)))
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=100) as client:
        yield NodeSite(root, server, client)


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> Any:
    """The line of user code that holds the text, once it is there."""
    async with asyncio.timeout(60):
        while True:
            for record in caplog.records:
                if record.name == "headwater.user" and text in record.getMessage():
                    return record
            await asyncio.sleep(0.01)
