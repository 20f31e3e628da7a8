"""What the page about work in the background says of progress runs as printed, in both languages."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.client import connect
from support.command import serving
from support.node_worker import node_worker
from support.tree import text

BLOCK = re.compile(r"^```\w+\n(?:#|//) ([\w./-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = {name: body for name, body in BLOCK.findall(text(Path("docs/background.md"))) if "import" in name}
BEGIN = """
config = {
    "type": "api",
    "name": "Begin",
    "method": "POST",
    "path": "/begin",
    "emits": ["import", "import.node"],
}


async def handler(req, ctx):
    await ctx.emit({"topic": req["body"]["topic"], "data": req["body"]["data"]})
    return {"status": 202, "body": {}}
"""


async def finished(url: str, name: str) -> dict[str, Any]:
    """The item once all is done."""
    async with asyncio.timeout(60), connect(url) as client:
        async for item in client.item("imports", "all", name):
            if item and item.get("progress", {}).get("percent") == 100:
                return item
    raise AssertionError(f"{name} was not done")


@pytest.mark.parametrize("topic", ["import", "import.node"])
async def test_the_page_runs_as_printed(tmp_path: Path, topic: str) -> None:
    node_worker()
    assert len(FILES) == 3
    for name, content in {**FILES, "steps/begin_step.py": BEGIN}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        assert "Problems" not in server.out.text
        data = {"id": "a", "file": "rows.csv", "rows": ["x", "y", "z"]}
        async with httpx.AsyncClient() as http:
            begun = await http.post(f"{server.url}/begin", json={"topic": topic, "data": data})
        assert begun.status_code == 202, begun.text
        item = await finished(server.url, "a")
    assert item["file"] == "rows.csv"
    assert (item["progress"]["done"], item["progress"]["total"], item["progress"]["eta"]) == (3, 3, 0)
