"""Pages that write, and pages whose token ends, in a real browser: what they show on the way."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from support.browser_page import Received, opened, site, status
from support.scenario_server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]

SHARED = "/plain.html?stream=shared&group=g"
NOTING = """() => {
  window.numbers = []
  group.addChangeListener((items) => {
    const { n = 0 } = items.find(({ id }) => id === 'counter') ?? {}
    if (n !== numbers.at(-1)) numbers.push(n)
  })
}"""
"""From now on `numbers` is what the page shows of a counter, one after the other."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with site(tmp_path / "project", knows_tokens=True) as server:
        yield server


async def counts(page: Page, times: int) -> None:
    """The page adds one so many times, not waiting for an answer."""
    add = "group.update('counter', [{ type: 'increment', path: 'n' }], { offline: true })"
    await page.evaluate(
        f"""async () => {{
          const written = []
          for (let n = 0; n < {times}; n++) {{
            written.push({add})
            await new Promise((goOn) => setTimeout(goOn, Math.random() * 20))
          }}
          window.versions = await Promise.all(written)
        }}"""
    )


@pytest.mark.parametrize("transport", ["auto", "sse"])
async def test_two_tabs_that_count_together_show_no_number_again(
    server: Server, browser: Browser, transport: str
) -> None:
    context = await browser.new_context()
    tabs = [await opened(context, f"{server.url}{SHARED}&transport={transport}") for _ in range(2)]
    for tab in tabs:
        await status(tab, "live")
        await tab.evaluate(NOTING)
    await asyncio.gather(*(counts(tab, 60) for tab in tabs))
    versions: list[int] = []
    for tab in tabs:
        await tab.wait_for_function("numbers.at(-1) === 120")
        numbers: list[int] = await tab.evaluate("numbers")
        assert numbers == sorted(set(numbers))
        versions += await tab.evaluate("versions")
    assert sorted(versions) == list(range(1, 121))


async def test_a_tab_goes_on_counting_while_the_server_is_away(server: Server, browser: Browser) -> None:
    page = await opened(await browser.new_context(), server.url + SHARED)
    await status(page, "live")
    await page.evaluate(NOTING)
    counting = asyncio.create_task(counts(page, 200))
    await page.wait_for_function("numbers.at(-1) > 20")
    await asyncio.to_thread(server.stop)
    await page.wait_for_function("numbers.at(-1) > 100")
    await asyncio.to_thread(server.start)
    await counting
    assert await page.evaluate("numbers") == list(range(1, 201))
    assert await page.evaluate("versions") == list(range(1, 201))
    assert server.get("/streams/shared/g/counter") == (200, {"id": "counter", "n": 200})


@pytest.mark.parametrize("transport", ["auto", "sse"])
async def test_a_chat_streams_on_while_its_token_is_renewed(
    server: Server, browser: Browser, transport: str
) -> None:
    page = await opened(await browser.new_context(), f"{server.url}/plain.html?group=none")
    asked = itertools.count(1)
    await page.expose_function("token", lambda: (next(asked), f"ada~{time.time() + 1.5}")[1])
    received = Received(page)
    await page.evaluate(
        f"""async () => {{
          const {{ connect }} = await import('/headwater/client.js')
          const client = connect('/', {{ token: () => token(), transport: '{transport}' }})
          const answer = client.item('guarded', 'chat', 'answer')
          Object.assign(window, {{ answer, texts: [], states: [] }})
          answer.addChangeListener((item) => texts.push(item?.text ?? ''))
          client.onStatus((status) => states.push(status))
        }}"""
    )
    await page.wait_for_function("answer.status === 'live'")
    words = 0
    until = time.monotonic() + 5
    while time.monotonic() < until:
        words += 1
        piece = {"type": "append", "path": "text", "value": f"{words} "}
        where = {"stream": "guarded", "group": "chat"}
        assert await asyncio.to_thread(server.write, [{**where, "update": "answer", "ops": [piece]}]) == ""
        if words % 5 == 0:  # No faster than the page can follow, or it would rightly be behind.
            await page.wait_for_function(f"texts.at(-1).endsWith(' {words} ')")
    whole = "".join(f"{n} " for n in range(1, words + 1))
    await page.wait_for_function(f"texts.at(-1) === {whole!r}")
    texts: list[str] = await page.evaluate("texts")
    assert all(after.startswith(before) for before, after in itertools.pairwise(texts))
    assert await page.evaluate("[...new Set(states)].at(-1)") == "live"
    assert await page.evaluate("states.slice(states.indexOf('live'))") == ["live"]
    assert next(asked) > 4
    if transport == "auto":
        # In one socket, whose texts came once.
        assert sum('"subscribed"' in frame for frame in received.frames) == 1
