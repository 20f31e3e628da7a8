"""How much memory a new process may take. Owns reading it from the system; decides nothing."""

from __future__ import annotations

import resource
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_PAGE = resource.getpagesize()
"""Bytes of a page of memory."""


def available() -> int | None:
    """Bytes that processes may still take before the system has to swap or to kill; None where unknown.

    The machine's, or what the limit of this process's control group leaves, whichever is less.
    """
    known = [value for value in (_of_machine(), _of_group()) if value is not None]
    return min(known, default=None)


def resident(pid: int) -> int | None:
    """Bytes of memory that a process uses by itself, roughly: resident without what it shares with files."""
    try:
        _, pages, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(pages) - int(shared)) * _PAGE
    except (OSError, ValueError):
        return None


def _of_machine() -> int | None:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _of_group() -> int | None:
    """Version 2 of control groups, as seen from inside a container."""
    try:
        limit = (_GROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((_GROUP / "memory.current").read_text())
        return max(int(limit) - used + _reclaimable(), 0)
    except (OSError, ValueError):
        return None


def _reclaimable() -> int:
    """Bytes of files that the group holds in memory and gives up when asked."""
    for line in (_GROUP / "memory.stat").read_text().splitlines():
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0
