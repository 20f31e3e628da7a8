"""Headwater as its users run it: `headwater start` on a copy of the benchmarks' project."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measure.place import BENCHMARKS, CORES, WORK
from benchmarks.measure.server import Server, free_port

PROGRAM = Path(sys.executable).parent / "headwater"


COPY = WORK / "project"
"""Where it runs."""


def headwater(
    *,
    store: str = "sqlite:.headwater/data.db",
    also: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
) -> Server:
    """Start it with an empty store, on all cores: the workers are processes of their own. `also` are further
    step files, `env` further settings."""
    copy = COPY
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(BENCHMARKS / "project", copy, ignore=shutil.ignore_patterns(".headwater", "__pycache__"))
    for file in also:
        shutil.copy(file, copy / "steps")
    return again(store=store, env=env)


def again(*, store: str = "sqlite:.headwater/data.db", env: Mapping[str, str] | None = None) -> Server:
    """Start it on what the last one left."""
    port = free_port()
    settings = {
        **(env or {}),
        "HEADWATER_SERVER_PORT": str(port),
        "HEADWATER_STORAGE_URL": store,
        "HEADWATER_LOG_LEVEL": "warning",
    }
    return Server("headwater", [PROGRAM, "start", COPY], port=port, cores=CORES, env=settings)
