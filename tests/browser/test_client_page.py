"""The served client in a plain page of a real browser: what happens to pages in a day."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from support.browser_page import Received, opened, said, shows, site, status, write
from support.scenario_server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]

PLAIN = "/plain.html?group=g"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with site(tmp_path / "project") as server:
        yield server


async def test_two_pages_see_every_change_at_once_and_in_order(server: Server, browser: Browser) -> None:
    pages = [await opened(await browser.new_context(), server.url + PLAIN) for _ in range(2)]
    for page in pages:
        await status(page, "live")
    await write(server, said("a"), said("b"), said("c"))
    await write(server, said("a", "changed"), {"delete": "b"}, said("b", "again"))
    for page in pages:
        await shows(page, "changed", "c", "again")


async def test_a_page_that_was_offline_catches_up_when_the_network_is_back(
    server: Server, browser: Browser
) -> None:
    context = await browser.new_context()
    page = await opened(context, server.url + PLAIN)
    await write(server, said("a"), said("b"))
    await shows(page, "a", "b")
    await context.set_offline(True)
    await status(page, "offline")
    await write(server, said("c"), {"delete": "a"})
    await shows(page, "a", "b")
    await context.set_offline(False)
    await status(page, "live")
    await shows(page, "b", "c")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "killed"])
async def test_a_page_survives_the_server(server: Server, browser: Browser, how: int) -> None:
    page = await opened(await browser.new_context(), server.url + PLAIN)
    await write(server, said("a"), said("b"))
    await shows(page, "a", "b")
    await asyncio.to_thread(server.stop, how)
    await shows(page, "a", "b")
    await asyncio.to_thread(server.start)
    await write(server, said("c"))
    await status(page, "live")
    await shows(page, "a", "b", "c")


async def test_a_refresh_shows_at_once_what_was_shown_and_asks_for_the_rest(
    server: Server, browser: Browser
) -> None:
    page = await opened(await browser.new_context(), server.url + PLAIN)
    await write(server, *[said(f"i{n}", "some text that takes its place " * 3) for n in range(200)])
    await page.wait_for_function("group.getState().length === 200")
    received = Received(page)
    await page.reload()
    assert await page.evaluate("first") == 200
    await status(page, "live")
    await write(server, said("new"))
    await page.wait_for_function("group.getState().length === 201")
    assert received.bytes < 1000, received.frames


async def test_a_tab_that_was_frozen_in_the_background_shows_the_latest_state(
    server: Server, browser: Browser
) -> None:
    page = await opened(await browser.new_context(), server.url + PLAIN)
    await status(page, "live")
    developer = await page.context.new_cdp_session(page)
    await developer.send("Page.setWebLifecycleState", {"state": "frozen"})
    await write(server, *[said("a", f"text {n}") for n in range(500)], said("b"))
    await developer.send("Page.setWebLifecycleState", {"state": "active"})
    await shows(page, "text 499", "b")
    await status(page, "live")


async def test_a_page_notices_a_server_that_has_gone_silent(tmp_path: Path, browser: Browser) -> None:
    with site(tmp_path / "project", settings="[socket]\nping_interval = 0.5\n") as server:
        page = await opened(await browser.new_context(), server.url + PLAIN)
        await status(page, "live")
        await page.evaluate(
            "void client.onStatus((_, reason) => (window.reasons = [...(window.reasons ?? []), reason]))"
        )
        process = server.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            await page.wait_for_function("reasons.includes('the server has gone silent')")
        finally:
            process.send_signal(signal.SIGCONT)
        await write(server, said("a"))
        await shows(page, "a")
        await status(page, "live")


async def test_where_websockets_are_blocked_event_streams_do(server: Server, browser: Browser) -> None:
    context = await browser.new_context()
    await context.add_init_script("window.WebSocket = class { constructor() { throw new Error('blocked') } }")
    page = await opened(context, server.url + PLAIN)
    await status(page, "live")
    await write(server, said("a"), said("b"))
    await shows(page, "a", "b")
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await write(server, said("c"))
    await shows(page, "a", "b", "c")


async def test_a_window_over_event_streams_grows_and_resumes(server: Server, browser: Browser) -> None:
    await write(server, *[said(f"i{n}") for n in range(6)])
    context = await browser.new_context()
    page = await opened(context, f"{server.url}{PLAIN}&transport=sse&limit=2")
    await shows(page, "i4", "i5")
    await page.evaluate("group.loadMore()")
    await shows(page, "i2", "i3", "i4", "i5")
    await context.set_offline(True)
    await status(page, "offline")
    await write(server, said("i0", "not shown"), said("i2", "changed"), {"delete": "i3"})
    await context.set_offline(False)
    await shows(page, "i1", "changed", "i4", "i5")  # It keeps its size.
    await page.evaluate("group.loadMore(10)")
    await shows(page, "not shown", "i1", "changed", "i4", "i5")
    assert await page.evaluate("group.hasMore") is False


async def test_a_thousand_items_with_fifty_updates_a_second_leave_the_page_responsive(
    server: Server, browser: Browser
) -> None:
    page = await opened(await browser.new_context(), server.url + PLAIN)
    await write(server, *[said(f"i{n}") for n in range(1000)])
    await page.wait_for_function("group.getState().length === 1000")
    await page.evaluate(
        """() => {
          window.frames_ = []
          window.draws = 0
          let last = performance.now()
          requestAnimationFrame(function frame(now) {
            frames_.push(now - last)
            last = now
            requestAnimationFrame(frame)
          })
        }"""
    )
    began = time.monotonic()
    for n in range(150):
        await write(server, said(f"i{n * 7 % 1000}", f"update {n}"))
        await asyncio.sleep(max(0, began + n / 50 - time.monotonic()))
    took = time.monotonic() - began
    await page.wait_for_function("group.getState()[149 * 7 % 1000].text === 'update 149'")
    frames = sorted(await page.evaluate("frames_"))
    figures = {
        "updates a second": round(150 / took),
        "frames": len(frames),
        "median ms": round(frames[len(frames) // 2], 1),
        "p95 ms": round(frames[int(len(frames) * 0.95)], 1),
        "longest ms": round(frames[-1], 1),
    }
    print(figures)
    assert figures["median ms"] < 250, figures
    assert await page.evaluate("draws") <= 160
