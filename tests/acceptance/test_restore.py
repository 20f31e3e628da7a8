"""A backup is put back: whoever comes with what it held before learns that history began anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from support.command import serving

STREAM = (
    'config = {"name": "notes", "schema": {"type": "object"}, "baseConfig": {"storageType": "default"}}\n'
)
STEP = """
config = {"type": "api", "name": "Put", "method": "PUT", "path": "/notes/:id", "emits": []}


async def handler(req, ctx):
    return {"status": 200, "body": await ctx.streams.notes.set("all", req["pathParams"]["id"], {"n": 1})}
"""


def write(url: str, item_id: str) -> None:
    assert httpx.put(f"{url}/notes/{item_id}").status_code == 200


def read(url: str, etag: str = "") -> httpx.Response:
    return httpx.get(f"{url}/streams/notes/all", headers={"if-none-match": etag} if etag else {})


def resume(url: str, cursor: dict[str, Any]) -> list[dict[str, Any]]:
    """What a client is told that comes back with a cursor."""
    with connect(url.replace("http", "ws"), subprotocols=["headwater.v1"]) as socket:  # pyright: ignore[reportArgumentType]
        socket.send(json.dumps({"t": "sub", "sub": 1, "stream": "notes", "group": "all", "from": cursor}))
        told: list[dict[str, Any]] = []
        while not told or told[-1]["t"] != "complete":
            told.append(json.loads(socket.recv(10)))
        return told


def test_clients_of_before_begin_anew_with_a_restored_store(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "notes_stream.py").write_text(STREAM)
    (tmp_path / "steps" / "put_step.py").write_text(STEP)
    data = tmp_path / ".headwater"
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        write(server.url, "a")
    shutil.copyfile(data / "data.db", tmp_path / "backup.db")
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        write(server.url, "lost")
        before = read(server.url)
        etag, cursor = (
            before.headers["etag"],
            {"epoch": before.json()["epoch"], "v": before.json()["version"]},
        )
        assert read(server.url, etag).status_code == 304
        server.process.kill()
        server.process.wait()
    for left in data.glob("data.db-*"):
        left.unlink()
    shutil.copyfile(tmp_path / "backup.db", data / "data.db")
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        write(server.url, "other")  # The same version as "lost" had.
        now = read(server.url, etag)
        assert now.status_code == 200
        assert {item["id"] for item in now.json()["items"]} == {"a", "other"}
        assert now.json()["version"] == cursor["v"]
        assert now.json()["epoch"] != cursor["epoch"]
        told = resume(server.url, cursor)
        assert [frame["reason"] for frame in told if frame["t"] == "reset"] == ["epoch"]
        assert "begins a new epoch" in server.err.text
    with serving("start", "--port", "0", "--new-epoch", cwd=tmp_path) as server:
        assert read(server.url, now.headers["etag"]).status_code == 200
