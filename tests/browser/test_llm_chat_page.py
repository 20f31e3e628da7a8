"""The chat with a model in real browser windows: an answer that no window owns."""

from __future__ import annotations

import itertools
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from support.browser_page import opened
from support.command import Server
from support.llm_example import Endpoint, Gate, chatting, endpoint, example

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]

TIMEOUT = 20_000
NUMBERS = itertools.count(1)


class Chat:
    """A server of the example, the endpoint that it asks, and a room of the test's own."""

    def __init__(self, browser: Browser, server: Server, place: Endpoint) -> None:
        self.browser = browser
        self.server = server
        self.place = place
        self.room = f"room-{next(NUMBERS)}"

    @property
    def gate(self) -> Gate:
        return self.place.gate

    async def window(self, room: str = "", **options: Any) -> Page:
        """A window that shares nothing with the others."""
        context = await self.browser.new_context(**options)
        page = await opened(context, f"{self.server.url}/#{self.room}{room}")
        await expect(page.locator("#status")).to_have_text("live", timeout=TIMEOUT)
        return page


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Endpoint]]:
    project = example("llm-chat", tmp_path_factory.mktemp("chat"))
    with endpoint() as place, chatting(project, **place.settings) as server:
        yield server, place


@pytest.fixture
def chat(browser: Browser, shared: tuple[Server, Endpoint]) -> Iterator[Chat]:
    shared[1].shut()
    yield Chat(browser, *shared)
    shared[1].gate.open()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def ask(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Question").fill(text)
    await page.keyboard.press("Enter")


async def answer_is(page: Page, status: str) -> None:
    """The last answer comes to have that status."""
    await expect(page.locator(".answer").last).to_have_attribute("data-status", status, timeout=TIMEOUT)


async def test_an_answer_grows_in_every_window_and_any_of_them_stops_it(chat: Chat) -> None:
    before = chat.place.model.left
    ada, bob = await chat.window(), await chat.window()
    await ask(ada, "Write something long")
    for page in (ada, bob):
        await answer_is(page, "streaming")
        await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    chat.gate.grant(8)
    for page in (ada, bob):
        await expect(page.locator(".answer .prose")).to_contain_text(
            "This is no language model", timeout=TIMEOUT
        )
    await bob.reload()
    await expect(bob.locator(".answer .prose")).to_contain_text("This is no language model", timeout=TIMEOUT)
    await answer_is(bob, "streaming")
    await bob.get_by_role("button", name="Stop").click()
    chat.gate.grant(1)
    for page in (ada, bob):
        await answer_is(page, "cancelled")
        await expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    await chat.place.has_been_left(before)


async def test_a_refresh_in_the_middle_loses_nothing(chat: Chat) -> None:
    page = await chat.window()
    await ask(page, "Show me code")
    await answer_is(page, "streaming")
    chat.gate.grant(20)
    await expect(page.locator(".answer .prose")).to_contain_text("A step", timeout=TIMEOUT)
    await page.reload()
    chat.gate.open()
    await answer_is(page, "done")
    await expect(page.locator(".answer pre code")).to_contain_text("async for piece in pieces:")
    await expect(page.locator(".answer em").last).to_have_text("that")
    await expect(page.locator(".answer .facts")).to_contain_text("tokens")


async def test_the_keyboard_asks_and_stops(chat: Chat) -> None:
    page = await chat.window()
    await page.keyboard.type("Write something long")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("in two lines")
    await page.keyboard.press("Enter")
    await answer_is(page, "streaming")
    await expect(page.locator(".question")).to_have_text("Write something long\nin two lines")
    await page.keyboard.press("Escape")
    chat.gate.grant(1)
    await answer_is(page, "cancelled")


async def test_a_failed_answer_says_why_and_can_be_tried_again(chat: Chat) -> None:
    page = await chat.window()
    chat.gate.open()
    await ask(page, "fail at once")
    await answer_is(page, "error")
    await expect(page.locator(".note")).to_contain_text("429")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator("#announce")).to_have_text("The answer failed.", timeout=TIMEOUT)
    await answer_is(page, "error")


async def test_rooms_are_listed_and_tell_where_an_answer_is_being_written(chat: Chat) -> None:
    ada, bob = await chat.window(), await chat.window("-other")
    await ask(ada, f"Write something long in {chat.room}")
    first = bob.get_by_role("link", name=f"Write something long in {chat.room}")
    await expect(first).to_contain_text("answering", timeout=TIMEOUT)
    await first.click()
    await expect(bob.locator(".question")).to_contain_text(chat.room, timeout=TIMEOUT)
    chat.gate.open()
    await answer_is(bob, "done")
    await expect(first).not_to_contain_text("answering", timeout=TIMEOUT)
    await bob.get_by_role("link", name="New room").click()
    await expect(bob.get_by_role("heading", name="Ask, then walk away.")).to_be_visible()


async def test_the_page_asks_no_other_host_and_reads_no_answer_as_html(chat: Chat) -> None:
    page = await chat.window()
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    await page.reload()
    chat.gate.open()
    await ask(page, "<img src=x onerror=alert(1)> **bold** [here](javascript:alert(1))")
    await answer_is(page, "done")
    prose = page.locator(".answer .prose")
    await expect(prose).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(prose.locator("img, a")).to_have_count(0)
    assert hosts == {urlsplit(chat.server.url).netloc}


MARKDOWN = {
    "a\nb\n\nc": "<p>a\nb</p><p>c</p>",
    "# A\nb": "<h3>A</h3><p>b</p>",
    "1. a\n2. b\n   - c": "<ol><li>a</li><li>b<ul><li>c</li></ul></li></ol>",
    "- a\n\n- b\n\nc": "<ul><li>a</li><li>b</li></ul><p>c</p>",
    "> a\n> b": "<blockquote>a\nb</blockquote>",
    "```py\n*a* <b>\n\n1. c": '<pre tabindex="0" data-language="py"><code>*a* &lt;b&gt;\n\n1. c</code></pre>',
    "**a** `*b*` *c* 2*3": "<p><strong>a</strong> <code>*b*</code> <em>c</em> 2*3</p>",
    "[a](https://b.example) [c](javascript:d)": '<p><a href="https://b.example" target="_blank" '
    'rel="noopener noreferrer">a</a> [c](javascript:d)</p>',
    "<i>a</i> & _b_ snake_case_c": "<p>&lt;i&gt;a&lt;/i&gt; &amp; <em>b</em> snake_case_c</p>",
}
HALVES = {
    "a **b": "<p>a <strong>b</strong></p>",
    "a `b": "<p>a <code>b</code></p>",
    "- *a": "<ul><li><em>a</em></li></ul>",
}


async def test_markdown_is_shown_as_models_write_it(chat: Chat) -> None:
    page = await chat.window()
    shown = """async ([text, whole]) => {
        const { show } = await import('/prose.js')
        const place = document.createElement('div')
        for (let end = 0; end < text.length; end++) show(place, text.slice(0, end), false)
        show(place, text, whole)
        return place.innerHTML
    }"""
    for text, html in MARKDOWN.items():
        assert await page.evaluate(shown, [text, True]) == html
    for text, html in HALVES.items():
        assert await page.evaluate(shown, [text, False]) == html


@pytest.mark.parametrize("width", [320, 390, 1200])
async def test_nothing_is_cut_off_at_any_width(chat: Chat, width: int) -> None:
    page = await chat.window(viewport={"width": width, "height": 700})
    chat.gate.open()
    await ask(page, "Show me code, " + "x" * 200)
    await answer_is(page, "done")
    wide = "document.documentElement.scrollWidth > innerWidth || scroll.scrollWidth > scroll.clientWidth"
    assert await page.evaluate(wide) is False
    if width < 700:
        await page.get_by_role("button", name="Rooms").click()
    await expect(page.get_by_role("link", name="New room")).to_be_visible()


async def test_it_says_that_no_language_model_answers(tmp_path: Path, browser: Browser) -> None:
    with chatting(example("llm-chat", tmp_path)) as server:
        page = await opened(await browser.new_context(), server.url)
        await expect(page.locator("#hint")).to_contain_text("no language model", timeout=TIMEOUT)
        await page.get_by_role("button", name="Show me some code").click()
        await answer_is(page, "done")
        await expect(page.locator(".answer .facts")).to_contain_text("local-stand-in")


async def test_a_kill_of_the_server_in_the_middle_is_told_and_the_answer_is_finished(
    tmp_path: Path, browser: Browser
) -> None:
    project, port = example("llm-chat", tmp_path), str(free_port())
    with endpoint() as place:
        with chatting(project, "--port", port, **place.settings) as server:
            page = await opened(await browser.new_context(), f"{server.url}/#r")
            await ask(page, "Show me code")
            await answer_is(page, "streaming")
            place.gate.grant(20)
            await expect(page.locator(".answer .prose")).to_contain_text("A step", timeout=TIMEOUT)
            server.stop(signal.SIGKILL)
            await expect(page.locator("#status")).not_to_have_text("live", timeout=TIMEOUT)
            await expect(page.locator(".answer .prose")).to_contain_text("A step")
        place.shut()
        with chatting(project, "--port", port, **place.settings):
            await expect(page.locator("#status")).to_have_text("live", timeout=TIMEOUT)
            await expect(page.get_by_text("it was begun anew (attempt 2)")).to_be_visible(timeout=TIMEOUT)
            place.gate.open()
            await answer_is(page, "done")
            await expect(page.locator(".answer")).to_have_count(1)
            await expect(page.locator(".answer .prose")).to_contain_text("not the whole text again.")
