"""A server that a benchmark writes to and restarts: the scenarios' one, with an empty store and few words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.measure.place import WORK
from headwater.testing.scenarios import Server


class Site(Server):
    """The scenarios' server, and what its process uses."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._place = str(folder)
        # Nobody reads what the server prints once it is ready, and a full pipe would stop it.
        (folder / "headwater.toml").write_text('[log]\nlevel = "warning"\n')

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def cpu(self) -> float:
        """CPU seconds of the server process so far."""
        times = self._seen().cpu_times()
        return times.user + times.system

    def peak(self) -> int:
        """The most resident memory its process has had since it started, in bytes."""
        for line in Path(f"/proc/{self._seen().pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise LookupError("the kernel does not tell the peak of resident memory")

    def _seen(self) -> psutil.Process:
        for child in psutil.Process(os.getpid()).children():
            if self._place in child.cmdline():
                return child
        raise LookupError("the server is not running")


@contextmanager
def site(name: str) -> Generator[Site]:
    """A started server, stopped at the end."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    started = Site(folder)
    try:
        started.start()
        yield started
    finally:
        started.stop()
