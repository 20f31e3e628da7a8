"""TypeScript's compiler for tests, from the npm workspace, or a skip that says what is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support import node
from support.tree import ROOT

MODULES = ROOT / "node_modules"


def compile_strictly(project: Path, **options: object) -> list[str]:
    """The faults that `tsc --strict` finds in a project: `file(line,column): error ...`.

    The packages of the workspace (zod, Node's types) are there for it, as `npm install` would bring them.
    """
    tsc = MODULES / "typescript" / "bin" / "tsc"
    if not tsc.exists():
        pytest.skip("TypeScript is not installed (make npm)")
    if not (project / "node_modules").exists():
        (project / "node_modules").symlink_to(MODULES)
    more = [text for name, value in options.items() for text in (f"--{name}", str(value).lower())]
    program = node.find()
    command = [program.node, tsc, "--strict", "--noEmit", "--pretty", "false", *more, "-p", project]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=program.environ(), cwd=project
    )
    return [line for line in ran.stdout.splitlines() if line.strip()]
