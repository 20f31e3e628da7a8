"""What was acknowledged survives: the server is killed in a storm of writes, again and again."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx

from support.command import serving

STREAM = (
    'config = {"name": "storm", "schema": {"type": "object"}, "baseConfig": {"storageType": "default"}}\n'
)
STEP = """
config = {"type": "api", "name": "Put", "method": "PUT", "path": "/storm/:id", "emits": []}


async def handler(req, ctx):
    item = await ctx.streams.storm.set("all", req["pathParams"]["id"], req["body"])
    return {"status": 200, "body": item}
"""
KILLS = 10
WRITERS = 16
WRITES_BEFORE_A_KILL = 60


class Storm:
    """Writes from many clients at once, and what the server said was done."""

    def __init__(self, first: int) -> None:
        self.acknowledged: dict[str, int] = {}
        self._next = first
        self.enough = asyncio.Event()

    async def write(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            while True:
                number = self._next
                self._next += 1
                try:
                    answer = await client.put(f"/storm/i{number}", json={"n": number})
                except httpx.TransportError:
                    return  # The server is gone; nothing was said about this one.
                if answer.status_code == 200:
                    self.acknowledged[f"i{number}"] = number
                if len(self.acknowledged) >= WRITES_BEFORE_A_KILL:
                    self.enough.set()


async def test_ten_kills_in_a_storm_of_writes_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "storm_stream.py").write_text(STREAM)
    (tmp_path / "steps" / "put_step.py").write_text(STEP)
    acknowledged: dict[str, int] = {}
    for kill in range(KILLS):
        with serving("start", "--port", "0", cwd=tmp_path) as server:
            storm = Storm(first=kill * 1_000_000)
            writers = [asyncio.create_task(storm.write(server.url)) for _ in range(WRITERS)]
            await asyncio.wait_for(storm.enough.wait(), 60)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            await asyncio.gather(*writers)
            acknowledged |= storm.acknowledged
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        group = httpx.get(f"{server.url}/streams/storm/all", timeout=30).json()
    found = {item["id"]: item["n"] for item in group["items"]}
    lost = {key: number for key, number in acknowledged.items() if found.get(key) != number}
    assert lost == {}
    assert len(acknowledged) >= KILLS * WRITES_BEFORE_A_KILL
    assert group["version"] == len(found), "versions have gaps: every write here made one new item"
