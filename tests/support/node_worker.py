"""The Node worker for tests: its command, or a skip that says what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headwater.errors import NodeMissing
from headwater.steps.node import node_command


def node_worker() -> Sequence[str]:
    """How the server would start it."""
    try:
        return node_command()
    except NodeMissing as missing:
        pytest.skip(f"{missing.message} {missing.hint}")
