"""Connections and the system's limit on open files, each case in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import resource, sys
from headwater.server.listen.open_files import room_for_connections
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(room_for_connections(wanted), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "expected"),
    [
        (1000, 1000, 500, (500, 1000, 1000)),
        (500, 1000, 600, (600, 856, 1000)),
        (500, 1000, 20_000, (744, 1000, 1000)),
        (100, 100, 20_000, (1, 100, 100)),
    ],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(
    soft: int, hard: int, wanted: int, expected: tuple[int, int, int]
) -> None:
    asked = [sys.executable, "-c", ASK, str(soft), str(hard), str(wanted)]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert tuple(map(int, told)) == expected
