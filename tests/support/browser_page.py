"""A server with pages of the tests' own, and a look at what their sockets received."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, WebSocket, expect

from support.scenario_server import Server

PAGES = Path(__file__).parents[1] / "browser" / "pages"


@contextmanager
def site(
    folder: Path, built: dict[str, str] | None = None, settings: str = "", *, knows_tokens: bool = False
) -> Iterator[Server]:
    """A real server whose public folder holds the tests' pages, and `built` files by name."""
    server = Server(folder, knows_tokens=knows_tokens)
    (folder / "headwater.toml").write_text(settings)
    shutil.copytree(PAGES, folder / "public")
    for name, text in (built or {}).items():
        (folder / "public" / name).write_text(text)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Received:
    """The frames that a page's sockets received, from now on."""

    def __init__(self, page: Page) -> None:
        self.frames: list[str] = []
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.frames.append(str(frame)))

    @property
    def bytes(self) -> int:
        return sum(map(len, self.frames))


async def opened(context: BrowserContext, url: str) -> Page:
    """A page; what it raises fails the test."""
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page raised {error}"))
    await page.goto(url)
    return page


async def shows(page: Page, *texts: str) -> None:
    """The page's list comes to hold these texts, in this order, once each."""
    await expect(page.locator("#items > li")).to_have_text(list(texts), timeout=20_000)


async def status(page: Page, text: str) -> None:
    """The page's status comes to be this."""
    await expect(page.locator("#status")).to_have_text(text, timeout=20_000)


async def write(server: Server, *writes: dict[str, Any]) -> None:
    """Write to the stream `room`, group `g`, where nothing else is told."""
    whole = [{"stream": "room", "group": "g", **one} for one in writes]
    assert await asyncio.to_thread(server.write, whole) == ""


def said(item: str, text: str | None = None) -> dict[str, Any]:
    """A write of an item with a text."""
    return {"set": item, "data": {"text": text or item}}
