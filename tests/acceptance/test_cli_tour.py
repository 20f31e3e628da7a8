"""The tour of the README runs as printed."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from support import command
from support.node_worker import node_worker
from support.tree import text

serving = partial(command.serving, installed=True)

BLOCK = re.compile(r"^```\w+\n(?:# |// |<!-- )([\w./-]+)(?: -->)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

TWICE = ("steps/add_todo_step.py", "steps/add-todo.step.ts")
"""The step that the tour shows in both languages."""


@pytest.fixture(params=TWICE)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    blocks = dict(BLOCK.findall(text(Path("README.md"))))
    assert len(blocks) == 7
    if request.param.endswith(".ts"):
        node_worker()
    for left_out in set(TWICE) - {request.param}:
        del blocks[left_out]
    for name, content in blocks.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_the_tour_runs_as_printed(project: Path) -> None:
    with (
        serving("dev", "--port", "0", cwd=project) as server,
        connect(server.url.replace("http", "ws")) as page,
    ):
        assert "Problems" not in server.out.text
        assert "/headwater/client.js" in httpx.get(server.url).text
        data = {"streamName": "todos", "groupId": "home", "subscriptionId": "1"}
        page.send(json.dumps({"type": "join", "data": data}))
        assert json.loads(page.recv(10))["event"] == {"type": "sync", "data": []}

        added = httpx.post(f"{server.url}/lists/home", json={"title": "write"})
        assert added.status_code == 201
        assert json.loads(page.recv(10))["event"] == {"type": "create", "data": added.json()}

        finished = httpx.put(f"{server.url}/lists/home/{added.json()['id']}")
        assert finished.json() == {**added.json(), "done": True}
        assert json.loads(page.recv(10))["event"] == {"type": "update", "data": finished.json()}

        address = f"{server.url}/streams/todos/home"
        assert finished.json()["id"] in httpx.get(address).text
        with httpx.stream("GET", address, headers={"accept": "text/event-stream"}) as live:
            assert any(finished.json()["id"] in line for line in live.iter_lines())

        refused = httpx.post(f"{server.url}/lists/home", json={"titel": "write"})
        assert refused.status_code == 400
        assert "title" in refused.text
