"""What was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

RUN = """
import os
from pathlib import Path
from headwater.allocator import Allocator

MIB = 2**20

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

allocator = Allocator()
if not allocator.settle():
    raise SystemExit("not glibc")
before = resident()
for _ in range(3):
    buffers = [bytearray(b"x" * MIB) for _ in range(100)]
    assert resident() > before + 80 * MIB
    pins = [bytes(buffer[:1000]) for buffer in buffers]  # Small ones, which would pin a heap's end.
    buffers.clear()
    allocator.trim()
    assert resident() < before + 40 * MIB
    assert len(pins) == 100
"""


@pytest.mark.skipif(sys.platform != "linux", reason="tells glibc")
def test_large_buffers_are_gone_when_they_are_freed() -> None:
    # In a process of its own: what this one has freed before would be used first.
    ran = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=False)
    if "not glibc" in ran.stderr:
        pytest.skip("not glibc")
    assert ran.returncode == 0, ran.stderr
