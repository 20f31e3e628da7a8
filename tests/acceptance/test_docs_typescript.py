"""The page about TypeScript runs as printed, in each language and in both mixtures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from support.command import headwater, serving
from support.node_worker import node_worker
from support.tree import text
from support.typescript import compile_strictly

BLOCK = re.compile(r"^```\w+\n(?:#|//) ([\w./-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall(text(Path("docs/typescript.md"))))

PYTHON = ("steps/tasks_stream.py", "steps/add_task_step.py")
TYPESCRIPT = ("steps/tasks.stream.ts", "steps/add-task.step.ts")
MIXTURES = {
    "python": PYTHON,
    "typescript": TYPESCRIPT,
    "a Python step with a TypeScript stream": (TYPESCRIPT[0], PYTHON[1]),
    "a TypeScript step with a Python stream": (PYTHON[0], TYPESCRIPT[1]),
}


def write(project: Path, files: tuple[str, ...]) -> None:
    for name in files:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(FILES[name])


def test_the_page_shows_every_file_in_both_languages() -> None:
    assert FILES.keys() == {*PYTHON, *TYPESCRIPT}


@pytest.mark.parametrize("files", MIXTURES.values(), ids=MIXTURES)
def test_the_page_runs_as_printed(tmp_path: Path, files: tuple[str, ...]) -> None:
    node_worker()
    write(tmp_path, files)
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        assert "Problems" not in server.out.text
        added = httpx.post(f"{server.url}/tasks/home", json={"title": "write"})
        assert added.status_code == 201, added.text
        assert (added.json()["title"], added.json()["done"]) == ("write", False)
        assert httpx.get(f"{server.url}/streams/tasks/home").json()["items"] == [added.json()]
        assert httpx.post(f"{server.url}/tasks/home", json={"titel": "write"}).status_code == 400


@pytest.mark.npm
def test_the_page_checks_strictly(tmp_path: Path) -> None:
    node_worker()
    write(tmp_path, TYPESCRIPT)
    options = {"target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": ["node"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["**/*.ts"]}))
    assert headwater("types", cwd=tmp_path).returncode == 0
    assert compile_strictly(tmp_path) == []
