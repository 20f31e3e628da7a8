"""A real server under attack, and one client of it that behaves: it writes, follows what is written, and in
the end holds what the store holds, whatever others did meanwhile.

An attack runs in the process of the test, the server in one of its own. Nothing here asserts how long a thing
takes: that the client is answered in the midst of an attack is told by the attack, which waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from headwater.client import Client, connect
from headwater.control.client import ask
from support.command import serving
from support.socket_client import RawSocket
from support.steps_project import write

SECONDS = 60.0
"""How long anything may take before a test gives up."""

V1: dict[str, str | None] = {"Sec-WebSocket-Protocol": "headwater.v1"}
ROOM, GROUP = "room", "home"
LASTING = ("recent changes", "presences that left")
"""What a server holds on to on purpose, within its bound."""

STREAM = 'config = {"name": "room", "schema": None, "presence": True}\n'
STEP = """
config = {"type": "api", "name": "Keep", "method": "POST", "path": "/keep/:id", "emits": []}


async def handler(req, ctx):
    await ctx.streams.room.set("home", req["pathParams"]["id"], {"n": int(req["queryParams"]["n"])})
    return {"status": 200, "body": {}}
"""
FILL = """
config = {"type": "api", "name": "Fill", "method": "POST", "path": "/fill/:group", "emits": []}


async def handler(req, ctx):
    await ctx.streams.room.set(req["pathParams"]["group"], "all", req["body"])
    return {"status": 200, "body": {}}
"""
ECHO = """
config = {"type": "api", "name": "Echo", "method": "POST", "path": "/echo", "emits": []}
config["bodySchema"] = {}


async def handler(req, ctx):
    return {"status": 200, "body": {"headers": req["headers"], "kind": type(req["body"]).__name__}}
"""

SOURCES = {"room_stream.py": STREAM, "keep_step.py": STEP, "fill_step.py": FILL, "echo_step.py": ECHO}


class Attacked:
    """The server, from outside."""

    def __init__(self, project: Path, url: str, log: list[str]) -> None:
        self.project = project
        self.url = url
        self.log = log
        """The lines of its log so far."""
        self.port = int(url.rpartition(":")[2])

    async def socket(self) -> RawSocket:
        """A WebSocket of protocol v1 that has been greeted."""
        socket = await RawSocket.open(self.port, headers=V1)
        assert (await socket.message())["t"] == "hello"
        return socket

    @asynccontextmanager
    async def sockets(self, count: int) -> AsyncGenerator[list[RawSocket]]:
        """So many of them, until the context ends."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(await self.socket()) for _ in range(count)]

    async def held(self) -> dict[str, int]:
        """How much the server holds of each kind."""
        entries = await asyncio.to_thread(lambda: list(ask(self.project, "held")))
        return {entry["kind"]: entry["now"] for entry in entries}

    async def until_held(self, kind: str, holds: Callable[[int], bool]) -> None:
        """Wait until as much of a kind is held as that says."""
        async with asyncio.timeout(SECONDS):
            while not holds((await self.held())[kind]):
                await asyncio.sleep(0.02)

    async def fill(self, group: str, size: int) -> None:
        """Put an item of that many bytes into a group."""
        async with httpx.AsyncClient(timeout=SECONDS) as http:
            done = await http.post(f"{self.url}/fill/{group}", json={"text": "x" * size})
            assert done.status_code == 200

    async def stored(self) -> list[dict[str, Any]]:
        """What the store holds of the group."""
        async with httpx.AsyncClient(timeout=SECONDS) as http:
            return (await http.get(f"{self.url}/streams/{ROOM}/{GROUP}")).json()["items"]

    @asynccontextmanager
    async def beside(self) -> AsyncGenerator[WellBehaved]:
        """A client that behaves, from before an attack until after it. In the end it holds what is stored, it
        was never cut off, and the server holds nothing more for those who attacked."""
        async with (
            connect(self.url) as client,
            httpx.AsyncClient(timeout=SECONDS) as http,
            asyncio.timeout(2 * SECONDS),
        ):
            behaved = WellBehaved(self, client, http)
            following = asyncio.create_task(behaved.follow())
            working = asyncio.create_task(behaved.work())
            try:
                await behaved.answers(3)
                yield behaved
                await behaved.answers(3)
            finally:
                behaved.ended = True
                await working
                await behaved.converges()
                following.cancel()
            for kind in await self.held():
                if kind not in LASTING:
                    await self.until_held(kind, lambda held: not held)


class WellBehaved:
    """One client: it posts one thing after the other, and follows the group."""

    def __init__(self, server: Attacked, client: Client, http: httpx.AsyncClient) -> None:
        self._server = server
        self._client = client
        self._http = http
        self._changed = asyncio.Condition()
        self.answered = 0
        self.ended = False
        self.items: list[dict[str, Any]] = []

    async def follow(self) -> None:
        async for items in self._client.group(ROOM, GROUP):
            async with self._changed:
                self.items = items
                self._changed.notify_all()

    async def work(self) -> None:
        while not self.ended:
            where = f"{self._server.url}/keep/{self.answered % 10}?n={self.answered}"
            assert (await self._http.post(where)).status_code == 200
            async with self._changed:
                self.answered += 1
                self._changed.notify_all()

    async def answers(self, count: int) -> None:
        """Wait until so many more posts of it were answered."""
        until = self.answered + count
        async with self._changed:
            await self._changed.wait_for(lambda: self.answered >= until)

    async def converges(self) -> None:
        """Wait until it holds what is stored."""
        stored = await self._server.stored()
        async with self._changed:
            await self._changed.wait_for(lambda: self.items == stored)


@contextmanager
def attacked(project: Path, *settings: str, files: Mapping[str, str] | None = None) -> Iterator[Attacked]:
    """A server with these settings, and with more files (by their path in the project), while the context
    lasts."""
    write(project, {f"steps/{name}": source for name, source in SOURCES.items()} | dict(files or {}))
    flags = [flag for setting in settings for flag in ("--set", setting)]
    with serving("start", str(project), "--port", "0", *flags, cwd=project) as server:
        yield Attacked(project, server.url, server.err.lines)
