"""The page about lifespans runs as printed, both languages in one project."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from support.command import headwater, serving
from support.node_worker import node_worker
from support.tree import text

BLOCK = re.compile(r"^```\w+\n(?:#|//) ([\w./-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall(text(Path("docs/lifespan.md"))))


def write(project: Path) -> None:
    for name, content in FILES.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(content)


def test_the_page_runs_as_printed(tmp_path: Path) -> None:
    node_worker()
    assert len(FILES) == 4
    write(tmp_path)
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        assert "Problems" not in server.out.text
        for path in ("status", "status-node"):
            asked = httpx.post(f"{server.url}/{path}", json={"url": f"{server.url}/nowhere"})
            assert (asked.status_code, asked.json()) == (200, {"status": 404}), asked.text
    assert "headwater_lifespan" not in server.out.text


def test_a_lifespan_that_does_not_load_is_listed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "headwater_lifespan.py").write_text("x = 1\n")
    shown = headwater("routes", cwd=tmp_path)
    assert shown.returncode == 1
    assert "headwater_lifespan.py" in shown.stdout + shown.stderr
