"""Headwater as its users run it: `headwater start` on a copy of the benchmarks' project."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure.place import BENCHMARKS, CORES, WORK
from benchmarks.measure.server import Server, free_port

PROGRAM = Path(sys.executable).parent / "headwater"


def headwater(*, store: str = "sqlite:.headwater/data.db", also: Sequence[Path] = ()) -> Server:
    """Start it with an empty store, on all cores: the workers are processes of their own. `also` are further
    step files."""
    copy = WORK / "project"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(BENCHMARKS / "project", copy, ignore=shutil.ignore_patterns(".headwater", "__pycache__"))
    for file in also:
        shutil.copy(file, copy / "steps")
    port = free_port()
    settings = {
        "HEADWATER_SERVER_PORT": str(port),
        "HEADWATER_STORAGE_URL": store,
        "HEADWATER_LOG_LEVEL": "warning",
    }
    return Server("headwater", [PROGRAM, "start", copy], port=port, cores=CORES, env=settings)
