"""What the manual of state shows runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from support.command import serving
from support.node_worker import node_worker
from support.tree import text

BLOCK = re.compile(r"^```\w+\n(?:#|//) ([\w./-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall(text(Path("docs/state.md"))))


def test_the_page_runs_as_printed(tmp_path: Path) -> None:
    node_worker()
    assert FILES.keys() == {"steps/visit_step.py", "steps/report.step.ts"}
    (tmp_path / "steps").mkdir()
    for name, source in FILES.items():
        (tmp_path / name).write_text(source)
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        assert "Problems" not in server.out.text
        for count in (1, 2):
            visited = httpx.post(f"{server.url}/visits/home", headers={"user-agent": "test"})
            assert visited.json() == {"count": count, "last": {"agent": "test"}}
        assert httpx.get(f"{server.url}/visits").json() == {
            "total": 2,
            "visits": [{"key": "home", "value": 2}],
            "groups": ["last", "visits"],
        }
