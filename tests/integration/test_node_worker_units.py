"""The Node worker's own tests, which are written in its language, on each line of Node that is supported."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.node_worker import LINES, marks, node_of

FOLDER = Path(__file__).parents[2] / "node-worker"


@pytest.mark.npm
@pytest.mark.may_take(300)
@pytest.mark.parametrize("line", [pytest.param(line, marks=marks(line)) for line in LINES])
def test_the_parts_of_the_node_worker_pass_their_tests(line: int) -> None:
    if not (FOLDER.parent / "node_modules" / "esbuild").exists():
        pytest.skip("the packages of the npm workspace are not installed (make npm)")
    ran = subprocess.run(
        [node_of(line), "test.mjs"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
