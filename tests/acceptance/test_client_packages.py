"""The TypeScript packages of the clients pass their own tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support import node

ROOT = Path(__file__).parents[2]
VITEST = ROOT / "node_modules" / "vitest" / "vitest.mjs"

pytestmark = pytest.mark.npm


@pytest.mark.parametrize("package", ["core", "react"])
def test_a_client_package_passes_its_tests(package: str) -> None:
    if not VITEST.exists():
        pytest.skip("the npm workspace is not installed; make npm does that")
    found = node.find()
    ran = subprocess.run(
        [found.node, VITEST, "run", "--no-color"],
        cwd=ROOT / "clients" / package,
        env=found.environ(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-8000:]
