"""The installed `headwater` command, run as people run it: in a process of its own, without a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

HEADWATER = Path(sys.executable).with_name("headwater")
DEADLINE = 60.0


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of its own."""
    return {name: text for name, text in os.environ.items() if not name.startswith("HEADWATER_")} | more


def headwater(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [HEADWATER, *arguments],
        cwd=cwd,
        env=environment(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE * 2,
        check=False,
    )


class Output:
    """What a process has written so far, by line; reading never stops, so the process never waits."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, pattern: str, *, after: int = 0) -> re.Match[str]:
        """The first line that matches, from line `after` on, once it is there."""
        until = time.monotonic() + DEADLINE
        with self._changed:
            while True:
                for line in self.lines[after:]:
                    if found := re.search(pattern, line):
                        return found
                if self._ended or time.monotonic() > until:
                    written = "\n".join(self.lines)
                    raise AssertionError(f"no line matches {pattern!r} in:\n{written}")
                self._changed.wait(1)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Server:
    """A running `headwater dev` or `start`."""

    def __init__(self, arguments: Sequence[str], cwd: Path, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [HEADWATER, *arguments],
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stderr
        self.out = Output(self.process.stdout)
        self.err = Output(self.process.stderr)

    @property
    def url(self) -> str:
        """Where it answers, once it does."""
        try:
            return self.out.wait_for(r"^Ready at (http://\S+)$")[1]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.err.text}") from None

    def stop(self, with_signal: int = signal.SIGINT) -> int:
        """Ask it to end and answer its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.wait(DEADLINE)


@contextmanager
def serving(*arguments: str, cwd: Path, **environ: str) -> Iterator[Server]:
    """`headwater ARGUMENTS` while the context lasts."""
    server = Server(arguments, cwd, environment(**environ))
    try:
        yield server
    finally:
        server.stop()
        for stream in (server.process.stdout, server.process.stderr):
            assert stream
            stream.close()
