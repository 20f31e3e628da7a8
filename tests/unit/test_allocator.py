"""What was freed goes back to the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from headwater.allocator import Allocator

MIB = 2**20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="tells glibc")
def test_large_buffers_are_gone_when_they_are_freed() -> None:
    allocator = Allocator()
    if not allocator.settle():
        pytest.skip("not glibc")
    before = resident()
    for _ in range(3):
        buffers = [bytearray(b"x" * MIB) for _ in range(100)]
        assert resident() > before + 80 * MIB
        pins = [bytes(buffer[:1000]) for buffer in buffers]  # Small ones, which would pin a heap's end.
        buffers.clear()
        allocator.trim()
        assert resident() < before + 40 * MIB
        assert len(pins) == 100
