"""What the page about clients shows runs as printed: the plain page, the React page, the Python program."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from support import node
from support.browser_page import opened
from support.command import Server, serving
from support.tree import ROOT, text

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser, pytest.mark.npm]

BLOCKS = dict(re.findall(r"^```(html|js|tsx|python)\n(.*?)^```$", text(Path("docs/clients.md")), re.M | re.S))
REACT = '<!doctype html><div id="root"></div><script type="module" src="react.js"></script>'
STREAM = """
fields = {"text": {"type": "string"}, "done": {"type": "boolean"}}
config = {"name": "todo", "schema": {"type": "object", "properties": fields}}
"""
STEP = """
config = {"type": "api", "name": "Put", "method": "PUT", "path": "/lists/:list/:id", "emits": []}


async def handler(req, ctx):
    list_, todo = req["pathParams"]["list"], req["pathParams"]["id"]
    if todo == "refused":
        return {"status": 409}
    done = {"type": "set", "path": "done", "value": req["body"]["done"]}
    words = {"type": "set", "path": "text", "value": req["body"].get("text", todo)}
    await ctx.streams.todo.update(list_, todo, [done, words])
    return {"status": 204}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    project = tmp_path / "project"
    for name, content in {
        "steps/todo_stream.py": STREAM,
        "steps/put_step.py": STEP,
        "public/index.html": BLOCKS["html"],
        "public/react.html": REACT,
        "public/react.js": bundled(BLOCKS["tsx"]),
    }.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)
    with serving("start", "--port", "0", cwd=project) as server:
        write(server, "a", "Milk")
        yield server


def bundled(source: str) -> str:
    esbuild = ROOT / "node_modules" / "esbuild" / "bin" / "esbuild"
    if not esbuild.exists():
        pytest.skip("the npm workspace is not installed; make npm does that")
    flags = ["--bundle", "--format=esm", "--loader=tsx", "--jsx=automatic", "--log-level=error"]
    folder, environ = ROOT / "examples" / "todo", node.find().environ()
    made = subprocess.run(
        [esbuild, *flags], cwd=folder, env=environ, input=source, capture_output=True, text=True, check=True
    )
    return made.stdout


def write(server: Server, todo: str, words: str) -> None:
    httpx.put(f"{server.url}/lists/today/{todo}", json={"text": words, "done": False}).raise_for_status()


@pytest.mark.parametrize("path", ["/", "/react.html"], ids=["plain", "React"])
async def test_the_page_shows_what_is_there_and_what_comes(
    server: Server, browser: Browser, path: str
) -> None:
    page = await opened(await browser.new_context(), server.url + path)
    await expect(page.locator("li")).to_have_text(["Milk"])
    write(server, "b", "Bread")
    await expect(page.locator("li")).to_have_text(["Milk", "Bread"])
    if path == "/":
        await expect(page.locator("#status")).to_have_text("live")


async def test_a_change_is_shown_before_it_is_stored(server: Server, browser: Browser) -> None:
    page = await opened(await browser.new_context(), server.url)
    program = BLOCKS["html"].partition("<script")[2].partition(">")[2].partition("</script>")[0]
    module = program + f"window.change = (id) => {BLOCKS['js'].partition(chr(10))[2]}\nwindow.todos = todos\n"
    request = BLOCKS["js"].partition("\n")[0]
    await page.add_script_tag(content=f"{request}\n{module}", type="module")
    await page.wait_for_function("window.todos?.ready")
    done = "todos.getState().map(({ id, done }) => `${id} ${done}`).join()"
    assert await page.evaluate(f"(change('a'), {done})") == "a true"
    assert await page.evaluate(f"change('a').then(() => {done})") == "a true"
    refused = "fetch('/lists/today/refused', { method: 'PUT' })"
    added = f"todos.optimistic('refused', () => ({{ id: 'refused' }}), {refused})"
    assert await page.evaluate(f"{added}.then(() => {done})") == "a true"


async def test_the_program_prints_what_it_follows(server: Server) -> None:
    source = BLOCKS["python"].replace("http://localhost:3000", server.url)
    process = await asyncio.create_subprocess_exec(sys.executable, "-u", "-c", source, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"['Milk']\n"
    finally:
        process.kill()
        await process.communicate()
