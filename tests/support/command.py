"""The `headwater` command, run as people run it: in a process of its own, without a terminal.

Unless a test asks for the installed one, the process is forked from one that has imported it
(`support.warm`).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from support.warm import COMMAND, WarmProcess, can_be_forked, pipe

HEADWATER = Path(COMMAND)
DEADLINE = 60.0


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of its own."""
    return {name: text for name, text in os.environ.items() if not name.startswith("HEADWATER_")} | more


Process = subprocess.Popen[str] | WarmProcess


def start(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    out: IO[str],
    err: IO[str],
    installed: bool = False,
) -> Process:
    """Start a command that writes to these; the installed one, or one that is forked."""
    if not installed and can_be_forked(env):
        return WarmProcess(arguments, cwd=cwd, env=env, out=out, err=err)
    return subprocess.Popen(
        [COMMAND, *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True
    )


def headwater(
    *arguments: str, cwd: Path, installed: bool = False, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = start(arguments, cwd=cwd, env=environment(**environ), out=out, err=err, installed=installed)
        try:
            code = process.wait(DEADLINE * 2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([COMMAND, *arguments], code, out.read(), err.read())


class Output:
    """What a process has written so far, by line; reading never stops, so the process never waits."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
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

    def close(self) -> None:
        """Read no more."""
        self._stream.close()


class Server:
    """A running `headwater dev` or `start`."""

    def __init__(
        self, arguments: Sequence[str], cwd: Path, environ: Mapping[str, str], *, installed: bool = False
    ) -> None:
        (out, out_there), (err, err_there) = pipe(), pipe()
        with out_there, err_there:
            self.process = start(
                arguments, cwd=cwd, env=environ, out=out_there, err=err_there, installed=installed
            )
        self.out, self.err = Output(out), Output(err)

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
def serving(*arguments: str, cwd: Path, installed: bool = False, **environ: str) -> Iterator[Server]:
    """`headwater ARGUMENTS` while the context lasts. It has one worker, unless a test wants more: each costs
    what the start of a process does."""
    environ = {"HEADWATER_WORKERS_SIZE": "1", **environ}
    server = Server(arguments, cwd, environment(**environ), installed=installed)
    try:
        yield server
    finally:
        server.stop()
        server.out.close()
        server.err.close()
