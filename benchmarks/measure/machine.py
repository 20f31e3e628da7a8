"""What the figures are measured on, and what about it makes them doubtful. Judges no figure."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.place import CORES, PROJECT

BUSY = 0.5
"""Processes running on average over the last minute, from which on others are in the way."""


@dataclass(frozen=True)
class Machine:
    """The machine at the start of a run; `load` counts running processes, averaged over a minute."""

    cores: int
    processor: str
    kernel: str
    python: str
    commit: str
    load: float

    def warnings(self) -> list[str]:
        """What a reader of the figures should be told."""
        warnings: list[str] = []
        if self.cores < 2:
            warnings.append("one core alone: server and client share it, and only ratios of CPU time count")
        if self.load > BUSY:
            warnings.append(f"the machine is busy (load {self.load:.1f}): figures come out too high")
        return warnings


def describe() -> Machine:
    """Look at the machine now."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=PROJECT, capture_output=True, text=True, check=False)
    return Machine(
        cores=len(CORES),
        processor=_processor(),
        kernel=platform.release(),
        python=platform.python_version(),
        commit=commit.stdout.strip(),
        load=os.getloadavg()[0],
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
