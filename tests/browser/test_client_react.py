"""The React example in a real browser: two people share a list."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from support import node
from support.command import Server, serving

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser, pytest.mark.npm]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "todo"

WATCHING = """() => {
  const list = document.getElementById('items')
  window.counts = [list.children.length]
  new MutationObserver(() => {
    if (list.children.length !== window.counts.at(-1)) window.counts.push(list.children.length)
  }).observe(list, { childList: true })
}"""
"""From now on `counts` is how many things there were to do, one after the other."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its page built, in a folder of its own."""
    esbuild = ROOT / "node_modules" / "esbuild" / "bin" / "esbuild"
    if not esbuild.exists():
        pytest.skip("the npm workspace is not installed; make npm does that")
    folder = tmp_path_factory.mktemp("todo") / "todo"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".headwater", "node_modules", "build"))
    script = [esbuild, "web/main.tsx", "--bundle", "--minify", "--format=esm", "--jsx=automatic"]
    subprocess.run(
        [*script, f"--outdir={folder / 'public' / 'build'}", "--log-level=error"],
        cwd=EXAMPLE,
        env=node.find().environ(),
        timeout=60,
        check=True,
    )
    return folder


@pytest.fixture
def todo(built: Path, tmp_path: Path) -> Iterator[Server]:
    folder = shutil.copytree(built, tmp_path / "todo")
    with serving("start", "--port", "0", cwd=folder) as server:
        yield server


async def window(browser: Browser, url: str) -> Page:
    page = await (await browser.new_context()).new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page raised {error}"))
    await page.goto(url)
    await expect(page.get_by_role("status")).to_have_text("live")
    return page


async def add(page: Page, text: str) -> None:
    await page.get_by_label("New thing to do").fill(text)
    await page.get_by_role("button", name="Add", exact=True).click()


async def test_two_people_share_a_list_and_see_who_is_there(todo: Server, browser: Browser) -> None:
    ada, bob = await window(browser, todo.url), await window(browser, todo.url)
    for page in (ada, bob):
        await expect(page.get_by_text("with 1 other")).to_be_visible()
    await add(ada, "Milk")
    await add(bob, "Bread")
    for page in (ada, bob):
        await expect(page.locator("#items > li")).to_have_count(2)
    await bob.get_by_label("Milk", exact=True).check()
    await expect(ada.get_by_label("Milk", exact=True)).to_be_checked()
    await expect(ada.get_by_text("1 of 2 to do")).to_be_visible()
    await ada.get_by_role("button", name="Remove Milk").click()
    await expect(bob.get_by_text("Milk")).to_have_count(0)
    await bob.context.close()
    await expect(ada.get_by_text("only you")).to_be_visible()


async def test_what_a_person_does_shows_at_once_and_is_taken_back_when_it_fails(
    todo: Server, browser: Browser
) -> None:
    page = await window(browser, todo.url)
    await page.get_by_label("New thing to do").evaluate("input => input.removeAttribute('maxlength')")
    await page.evaluate(WATCHING)
    await add(page, "Milk, " * 50)
    await expect(page.get_by_role("alert")).to_contain_text("text")
    await expect(page.locator("#items > li")).to_have_count(0)
    assert await page.evaluate("window.counts") == [0, 1, 0]
    await add(page, "Bread")
    await expect(page.locator("#items > li")).to_have_count(1)
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_what_is_done_while_the_server_is_away_is_there_once_it_is_back(
    built: Path, tmp_path: Path, browser: Browser
) -> None:
    folder = shutil.copytree(built, tmp_path / "todo")
    with serving("start", "--port", "0", cwd=folder) as server:
        ada, bob = await window(browser, server.url), await window(browser, server.url)
        for text in ("Milk", "Bread"):
            await add(ada, text)
        await expect(bob.locator("#items > li")).to_have_count(2)
        # Written, so that nothing is under way when the server goes.
        await expect(ada.get_by_text("to be written")).to_have_count(0)
    await expect(ada.get_by_role("status")).not_to_have_text("live")
    await ada.evaluate(WATCHING)
    await ada.get_by_label("Milk", exact=True).check()
    await ada.get_by_role("button", name="Remove Bread").click()
    await add(ada, "Eggs")
    await expect(ada.get_by_text("3 to be written")).to_be_visible()
    await expect(ada.locator("#items > li")).to_have_text(["Milk×", "Eggs×"])
    with serving("start", "--port", server.url.rpartition(":")[2], cwd=folder):
        for page in (ada, bob):
            await expect(page.get_by_role("status")).to_have_text("live", timeout=20_000)
            await expect(page.locator("#items > li")).to_have_text(["Milk×", "Eggs×"])
            await expect(page.get_by_label("Milk", exact=True)).to_be_checked()
        await expect(ada.get_by_text("to be written")).to_have_count(0)
        # Nothing that was shown went away, or came twice.
        assert await ada.evaluate("window.counts") == [2, 1, 2]


async def test_another_list_is_another_address(todo: Server, browser: Browser) -> None:
    page = await window(browser, todo.url)
    await add(page, "Milk")
    await expect(page.locator("#items > li")).to_have_count(1)
    await page.goto(f"{todo.url}/#other")
    await expect(page.get_by_role("heading", name="other")).to_be_visible()
    await expect(page.get_by_text("Nothing to do")).to_be_visible()
    await page.goto(f"{todo.url}/#today")
    await expect(page.get_by_text("Milk")).to_be_visible()
