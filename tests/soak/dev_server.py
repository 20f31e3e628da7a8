"""A server as `headwater dev` runs it, for a soak: it can be killed, reloaded and looked at."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import psutil

from headwater.testing.scenarios import Server


class DevServer(Server):
    """The server of the scenarios, in `folder`: it reloads."""

    def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        self.log = (self._folder / "server.log").open("ab")
        self.process = process = subprocess.Popen(
            [*self._command, "dev", str(self._folder), "--port", port, "--log-level", "warning"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Ready at (http://\S+)", line):
                self.url = found[1]
                return
        raise AssertionError("the server did not start:\n" + (self._folder / "server.log").read_text())

    def reload(self, file: str = "steps/write_step.py") -> None:
        """Change a file, so that another generation takes over."""
        step: Path = self._folder / file
        step.write_text(step.read_text() + f"\n# {time.monotonic()}\n")

    def rss(self) -> int:
        """Bytes that the server process holds now, without its workers."""
        return 0 if self.process is None else psutil.Process(self.process.pid).memory_info().rss

    def workers(self) -> list[psutil.Process]:
        """The processes that it has begun, and those have."""
        if self.process is None:
            return []
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
