"""The published browser and React clients of the older framework, as they are, in a real browser; and pages
written for them, with nothing changed but the import."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Browser

from support import node
from support.browser_page import opened, said, shows, site, write

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser, pytest.mark.npm]

PACKAGES = Path(__file__).parents[1] / "npm"
OURS = Path(__file__).parents[2] / "clients" / "react"

PAGE = '<!doctype html><meta charset="utf-8"><ol id="items"></ol><script type="module" src="app.js"></script>'

PLAIN = """
import { Stream } from 'BROWSER'

const stream = new Stream(location.origin.replace('http', 'ws'))
const list = document.getElementById('items')
const group = stream.subscribeGroup('room', 'g')
group.onEvent('wave', ({ from }) => (window.waves = [...(window.waves ?? []), from]))
group.addChangeListener((items) => {
  list.replaceChildren(
    ...items.map(({ text }) => Object.assign(document.createElement('li'), { textContent: text })),
  )
})
"""

REACT = """
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import { MotiaStreamProvider, useStreamEventHandler, useStreamGroup, useStreamItem } from 'REACT'

const wave = ({ from }) => (window.waves = [...(window.waves ?? []), from])
const List = () => {
  const { data, event } = useStreamGroup({ streamName: 'room', groupId: 'g' })
  useStreamEventHandler({ event, type: 'wave', listener: wave }, [])
  const { data: first } = useStreamItem({ streamName: 'room', groupId: 'g', id: 'a' })
  document.title = first?.text ?? ''
  return data.map(({ id, text }) => createElement('li', { key: id }, text))
}
const address = location.origin.replace('http', 'ws')
createRoot(document.getElementById('items')).render(
  createElement(MotiaStreamProvider, { address }, createElement(List)),
)
"""


def bundled(source: str, folder: Path) -> str:
    """A page's program with all it imports, from the packages that are installed for a folder."""
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
        cwd=folder,
        env=node.find().environ(),
        input=source,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return made.stdout


FROM = {
    "0.8": ("browser-0.8", "react-0.8", PACKAGES),
    "0.17": ("browser-0.17", "react-0.17", PACKAGES),
    "headwater": ("headwater/client", "@headwater/react", OURS),
}
"""Where a page imports the browser client and the hooks from, and for which folder these are installed."""


@pytest.mark.parametrize("origin", FROM)
@pytest.mark.parametrize("source", [PLAIN, REACT], ids=["browser", "react"])
async def test_a_page_of_the_published_client_shows_what_happens(
    source: str, origin: str, tmp_path: Path, browser: Browser
) -> None:
    plain, react, folder = FROM[origin]
    program = bundled(source.replace("BROWSER", plain).replace("REACT", react), folder)
    with site(tmp_path / "project", {"app.js": program, "app.html": PAGE}) as server:
        page = await opened(await browser.new_context(), f"{server.url}/app.html")
        await write(server, said("a"), said("b"), said("c"))
        await write(server, said("a", "changed"), {"delete": "b"})
        await shows(page, "changed", "c")
        await write(server, {"send": {"type": "wave", "data": {"from": "ada"}}})
        await page.wait_for_function("window.waves?.join() === 'ada'")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await write(server, said("d"))
        await shows(page, "changed", "c", "d")
        if source == REACT:
            assert await page.title() == "changed"
