"""What ends by itself, on a whole server in a process of its own: expired items, what a stream keeps no more,
presences of clients that died."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from headwater.client import connect
from headwater.testing.scenario_project import STREAM
from headwater.testing.scenarios import Driver
from support.relay import Relay
from support.scenario_server import Server

SECONDS = 60.0
TTL = 0.3
"""Seconds; far less than a server needs to start."""


class Site(Server):
    """A server whose streams are written by the test, and whose sockets are pinged often."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        (folder / "headwater.toml").write_text("[socket]\nping_interval = 0.3\nping_timeout = 1.5\n")

    def declare(self, name: str, more: str) -> None:
        (self.folder / "steps" / f"{name}_stream.py").write_text(STREAM.format(name=name, more=more))

    def ids(self, stream: str) -> list[str]:
        status, body = self.get(f"/streams/{stream}/g")
        assert status == 200
        return [item["id"] for item in body["items"]]

    def version(self, stream: str) -> int:
        return self.get(f"/streams/{stream}/g")[1]["version"]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    site = Site(tmp_path / "project")
    yield site
    await asyncio.to_thread(site.stop)


def put(stream: str, item: str, **more: Any) -> dict[str, Any]:
    return {"stream": stream, "group": "g", "set": item, "data": {}, **more}


async def test_what_is_over_when_the_server_starts_is_gone_before_it_serves(site: Site) -> None:
    site.declare("aged", f', "keep": {{"age": {TTL}}}')
    site.declare("lasting", "")
    await asyncio.to_thread(site.start)
    writes = [put("room", "a", ttl=TTL), put("room", "b"), put("aged", "a"), put("fleeting", "a", ttl=TTL)]
    writes += [put("lasting", str(number)) for number in range(5)]
    await asyncio.to_thread(site.write, writes)
    await asyncio.to_thread(site.stop, signal.SIGKILL)
    site.declare("lasting", ', "keep": {"newest": 2}')
    await asyncio.to_thread(site.start)

    found = {
        stream: await asyncio.to_thread(site.ids, stream)
        for stream in ("room", "aged", "fleeting", "lasting")
    }

    assert found == {"room": ["b"], "aged": [], "fleeting": [], "lasting": ["3", "4"]}
    assert await asyncio.to_thread(site.version, "lasting") == 8, "each was deleted with a version"


class Present:
    """A client in a process of its own, which is present in a group."""

    def __init__(self, url: str, name: str) -> None:
        self._driver = Driver()
        self._driver.do({"do": "connect", "client": "one", "url": url})
        where = {"client": "one", "as": "s", "stream": "present", "group": "g"}
        self._driver.do({"do": "subscribe", **where, "state": {"name": name}})

    def kill(self) -> None:
        self._driver.close()


async def names_there(there: AsyncIterator[list[dict[str, Any]]], wanted: list[str]) -> None:
    async with asyncio.timeout(SECONDS):
        async for present in there:
            if [one["name"] for one in present] == wanted:
                return


async def test_who_dies_is_not_present_any_more(site: Site) -> None:
    await asyncio.to_thread(site.start)
    async with connect(site.url) as client, aclosing(client.group("present.presence", "g")) as there:
        doomed = await asyncio.to_thread(Present, site.url, "Ada")
        await names_there(there, ["Ada"])
        await asyncio.to_thread(doomed.kill)
        await names_there(there, [])


async def test_who_falls_silent_is_not_present_any_more(site: Site) -> None:
    """The other end is gone and nothing told the server so: it gives no sign of life."""
    await asyncio.to_thread(site.start)
    async with (
        Relay(int(site.url.rpartition(":")[2])) as relay,
        connect(site.url) as client,
        aclosing(client.group("present.presence", "g")) as there,
    ):
        lost = await asyncio.to_thread(Present, f"http://127.0.0.1:{relay.port}", "Bob")
        await names_there(there, ["Bob"])
        relay.freeze()
        await names_there(there, [])
        await asyncio.to_thread(lost.kill)
