"""The npm packages that peers are made of, installed on first use. Owns the commands that run peers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.measure.place import CORES, PEERS, PYTHON, WORK
from benchmarks.measure.server import Server, free_port


class PeerMissing(Exception):
    """A peer cannot be had on this machine; the message says what is missing."""


def install(folder: Path = PEERS) -> None:
    """Run `npm ci` in the folder unless what is installed is newer than the lock."""
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise PeerMissing("the peers need npm (Node 20 or newer) on the path")
    done = subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise PeerMissing(f"npm ci in {folder.name} failed:\n{done.stderr[-2000:]}")


def bun(script: str) -> list[str]:
    """The command that runs a peer under Bun."""
    install()
    return [str(PEERS / "node_modules" / "@oven" / "bun-linux-x64" / "bin" / "bun"), str(PEERS / script)]


def node(script: str) -> list[str]:
    """The command that runs a peer under Node."""
    install()
    return [*_node(), str(PEERS / script)]


def _node() -> list[str]:
    program = shutil.which("node")
    if program is None:
        raise PeerMissing("the peers need Node 20 or newer on the path")
    return [program]


def starlette() -> Server:
    """Start the bare POST of JSON."""
    port = free_port()
    return Server("starlette", [PYTHON, PEERS / "starlette_post.py", str(port)], port=port, cores=CORES)


def old_framework() -> Server:
    """Start the published old framework, analytics off, in a copy of its project because it writes there."""
    source, copy = PEERS / "motia", WORK / "motia"
    install(source)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(source / "node_modules")
    programs = str(copy / "node_modules" / ".bin")
    port = free_port()
    return Server(
        "motia",
        [*_node(), Path(programs) / "motia", "dev", "-p", str(port), "-H", "127.0.0.1"],
        port=port,
        cores=CORES,
        cwd=copy,
        env={"MOTIA_ANALYTICS_DISABLED": "true", "PATH": f"{programs}:{os.environ['PATH']}"},
    )
