"""The example chat, as two people see it in two windows of a real browser."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from support.command import headwater, serving

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    made = headwater("create", "chat", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path / "chat"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def window(browser: Browser, url: str) -> Page:
    """A window of a person of its own: nothing is shared with other windows. Errors of the page fail the
    test."""
    page = await (await browser.new_context()).new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page raised {error}"))
    await page.goto(url)
    await expect(page.get_by_text("live", exact=True)).to_be_visible()
    return page


async def say(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Message").fill(text)
    await page.get_by_role("button", name="Send").click()


async def test_two_windows_see_each_other_s_messages_at_once_and_in_order(
    chat: Path, browser: Browser
) -> None:
    with serving("dev", "--port", "0", cwd=chat) as server:
        ada, bob = await window(browser, server.url), await window(browser, server.url)
        await say(ada, "Hello <b>Bob</b>")
        await expect(bob.get_by_text("Hello <b>Bob</b>")).to_be_visible()
        await say(bob, "Hello Ada")
        await expect(ada.get_by_text("Hello Ada")).to_be_visible()
        for page in (ada, bob):
            text = await page.inner_text("body")
            assert text.index("Hello <b>Bob</b>") < text.index("Hello Ada")


async def test_one_can_type_at_once_and_send_with_enter(chat: Path, browser: Browser) -> None:
    with serving("dev", "--port", "0", cwd=chat) as server:
        page = await window(browser, server.url)
        await page.keyboard.type("Hello")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("log").get_by_text("Hello")).to_be_visible()


async def test_a_window_that_opens_later_and_a_refresh_show_what_was_said(
    chat: Path, browser: Browser
) -> None:
    with serving("dev", "--port", "0", cwd=chat) as server:
        ada = await window(browser, server.url)
        await say(ada, "for the record")
        await expect(ada.get_by_text("for the record")).to_be_visible()
        late = await window(browser, server.url)
        await expect(late.get_by_text("for the record")).to_be_visible()
        await ada.reload()
        await expect(ada.get_by_text("for the record")).to_be_visible()


async def test_windows_survive_a_killed_server_and_show_what_was_written_meanwhile(
    chat: Path, browser: Browser
) -> None:
    port = free_port()
    with serving("start", "--port", str(port), cwd=chat) as server:
        page = await window(browser, server.url)
        await say(page, "before the crash")
        await expect(page.get_by_text("before the crash")).to_be_visible()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        await expect(page.get_by_text("live", exact=True)).not_to_be_visible()
    with serving("start", "--port", str(port), cwd=chat) as server:
        await expect(page.get_by_text("live", exact=True)).to_be_visible(timeout=20_000)
        await say(page, "after the crash")
        await expect(page.get_by_text("after the crash")).to_be_visible()
        await expect(page.get_by_text("before the crash")).to_have_count(1)


async def test_a_step_edited_while_the_page_is_open_runs_without_the_socket_dropping(
    chat: Path, browser: Browser
) -> None:
    with serving("dev", "--port", "0", cwd=chat) as server:
        page = await window(browser, server.url)
        reopened: list[object] = []
        page.on("websocket", lambda socket: reopened.append(socket))  # A second one means the first was lost.
        step = chat / "steps" / "create_message_step.py"
        step.write_text(step.read_text().replace('body["message"]', 'body["message"].upper()'))
        server.out.wait_for(r"[Gg]eneration 2|reloaded|Reloaded")
        await say(page, "louder")
        await expect(page.get_by_text("LOUDER")).to_be_visible()
        assert reopened == []
