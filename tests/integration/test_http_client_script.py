"""The browser client over HTTP: one file, kept by browsers, never an old one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headwater.server.http.client_script import BUILT, PATH, ClientScript
from support.http_site import Site, serving


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(internal=[(PATH, ClientScript())]) as site:
        yield site


async def test_a_page_finds_the_built_client_at_its_address(site: Site) -> None:
    response = await site.client.get("/headwater/client.js")
    assert (response.status_code, response.content) == (200, BUILT.read_bytes())
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_who_has_it_is_sent_nothing(site: Site) -> None:
    tag = (await site.client.get(PATH)).headers["etag"]
    again = await site.client.get(PATH, headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await site.client.get(PATH, headers={"if-none-match": '"other"'})).status_code == 200


async def test_its_head_has_its_length(site: Site) -> None:
    head = await site.client.head(PATH)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(BUILT.read_bytes())


async def test_nothing_else_is_there_and_nothing_can_be_written(site: Site) -> None:
    assert (await site.client.get(f"{PATH}/more")).status_code == 404
    posted = await site.client.post(PATH, content=b"x")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_a_checkout_where_it_was_not_built_says_what_to_do(tmp_path: Path) -> None:
    async with serving(internal=[(PATH, ClientScript(tmp_path / "client.js"))]) as site:
        missing = await site.client.get(PATH)
    assert missing.status_code == 404
    assert "make setup" in missing.text
