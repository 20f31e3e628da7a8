"""A reload that changes a rule, on a whole server: who may follow no more is told, on a socket and on an
event stream; who still may goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from headwater.config import ServerSettings, Settings, StorageSettings
from headwater.lifetime import running
from headwater.model import Origin
from support.steps_project import write

RULE = """from helper import OPEN

config = {"name": "chat", "schema": None}


def can_access(sub, auth):
    return sub["groupId"] in OPEN
"""
FILES = {
    "steps/chat_stream.py": RULE,
    "steps/news_stream.py": "config = {'name': 'news', 'schema': None}\n",
    "helper.py": "OPEN = ('a', 'b')\n",
}


async def until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (told := orjson.loads(await socket.recv()))["t"] != kind:
            pass
    return told


async def test_a_rule_that_a_reload_changes_is_asked_of_all_who_follow(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    settings = Settings(
        project=tmp_path, server=ServerSettings(port=0), storage=StorageSettings(url="memory:")
    )
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        socket = await connect(server.url.replace("http", "ws"), subprotocols=[Subprotocol("headwater.v1")])
        for sub, (stream, group) in enumerate((("chat", "a"), ("chat", "b"), ("news", "a"))):
            await socket.send(
                orjson.dumps({"t": "sub", "sub": sub, "stream": stream, "group": group}).decode()
            )
            await until(socket, "complete")
        events = client.stream("GET", "/streams/chat/b", headers={"accept": "text/event-stream"})
        async with events as response:
            lines = response.aiter_lines()
            async with asyncio.timeout(60):
                while "complete" not in await anext(lines):
                    pass
                write(tmp_path, {"helper.py": "OPEN = ('a',)\n"})
                await server.runtime.reload()
                told = await until(socket, "revoked")
                assert (told["sub"], told["code"]) == (1, "REVOKED")
                rest = [line async for line in lines if line.startswith("data")]
        assert '"revoked"' in rest[-1]
        assert (await client.get("/streams/chat/b")).status_code == 403
        for stream, group in (("chat", "b"), ("chat", "a"), ("news", "a")):
            await server.writer.set(stream, group, "x", b"{}", origin=Origin())
        heard = [await until(socket, "set") for _ in range(2)]
        assert [one["d"]["id"] for one in heard] == ["x", "x"]
        await socket.close()
