"""Where things lie and which core runs what. Owns paths and cores; starts nothing."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
PROJECT = BENCHMARKS.parent
WORK = BENCHMARKS / ".work"
RESULTS = BENCHMARKS / "results"
PEERS = BENCHMARKS / "peers"
PYTHON = sys.executable

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]
CLIENT_CORE = CORES[-1]
"""With one core alone, both share it: the figures then say little, and the report says so."""

SOURCES = 4
"""Loopback addresses that thousands of clients connect from, so that ports do not run out."""
SPARE_FILES = 500


def allow_many_files() -> int:
    """Raise the limit of open files as far as it goes, for this process and what it starts: the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def sockets(most: int) -> int:
    """So many sockets, or as many as the limit of open files leaves room for."""
    return min(most, allow_many_files() - SPARE_FILES)
