"""The published browser and React clients of the older framework, as they are, in a real browser."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Browser

from support import node
from support.browser_page import opened, said, shows, site, write

pytestmark = [pytest.mark.browser, pytest.mark.npm]

PACKAGES = Path(__file__).parents[1] / "npm"

PAGE = '<!doctype html><meta charset="utf-8"><ol id="items"></ol><script type="module" src="app.js"></script>'

PLAIN = """
import { Stream } from 'browser-VERSION'

const stream = new Stream(location.origin.replace('http', 'ws'))
const list = document.getElementById('items')
stream.subscribeGroup('room', 'g').addChangeListener((items) => {
  list.replaceChildren(
    ...items.map(({ text }) => Object.assign(document.createElement('li'), { textContent: text })),
  )
})
"""

REACT = """
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import { MotiaStreamProvider, useStreamGroup, useStreamItem } from 'react-VERSION'

const List = () => {
  const { data } = useStreamGroup({ streamName: 'room', groupId: 'g' })
  const { data: first } = useStreamItem({ streamName: 'room', groupId: 'g', id: 'a' })
  document.title = first?.text ?? ''
  return data.map(({ id, text }) => createElement('li', { key: id }, text))
}
const address = location.origin.replace('http', 'ws')
createRoot(document.getElementById('items')).render(
  createElement(MotiaStreamProvider, { address }, createElement(List)),
)
"""


def bundled(source: str) -> str:
    """A page's program with all it imports, from the installed packages."""
    if not (PACKAGES / "node_modules" / "react-dom").exists():
        pytest.skip("the published clients are not installed; make npm does that")
    made = subprocess.run(
        [
            PACKAGES / "node_modules" / "esbuild" / "bin" / "esbuild",
            "--bundle",
            "--format=esm",
            '--define:process.env.NODE_ENV="production"',
            "--log-level=error",
        ],
        cwd=PACKAGES,
        env=node.find().environ(),
        input=source,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return made.stdout


@pytest.mark.parametrize("version", ["0.8", "0.17"])
@pytest.mark.parametrize("source", [PLAIN, REACT], ids=["browser", "react"])
async def test_a_page_of_the_published_client_shows_what_happens(
    source: str, version: str, tmp_path: Path, browser: Browser
) -> None:
    built = {"app.js": bundled(source.replace("VERSION", version)), "app.html": PAGE}
    with site(tmp_path / "project", built) as server:
        page = await opened(await browser.new_context(), f"{server.url}/app.html")
        await write(server, said("a"), said("b"), said("c"))
        await write(server, said("a", "changed"), {"delete": "b"})
        await shows(page, "changed", "c")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await write(server, said("d"))
        await shows(page, "changed", "c", "d")
        if source == REACT:
            assert await page.title() == "changed"
