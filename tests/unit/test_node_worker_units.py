"""The Node worker's own tests, which are written in its language."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support import node

FOLDER = Path(__file__).parents[2] / "node-worker"


@pytest.mark.npm
@pytest.mark.timeout(300)
def test_the_parts_of_the_node_worker_pass_their_tests() -> None:
    if not (FOLDER.parent / "node_modules" / "esbuild").exists():
        pytest.skip("the packages of the npm workspace are not installed (make npm)")
    program = node.find()
    ran = subprocess.run(
        [program.node, "test.mjs"],
        cwd=FOLDER,
        env=program.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
