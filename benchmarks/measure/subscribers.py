"""The load clients, from Python: builds `client/*.c` at first use, runs subscribers on their own core."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.measure.place import BENCHMARKS, CLIENT_CORE, WORK


class ClientFailed(Exception):
    """The load client could not be built, or ended before it had said what it was asked for."""


def build(name: str) -> Path:
    """Compile a client unless that has been done since its source changed."""
    source, program = BENCHMARKS / "client" / f"{name}.c", WORK / name
    WORK.mkdir(exist_ok=True)
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        compiler = os.environ.get("CC", "cc")
        command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ClientFailed(
                f"cannot compile {source.name}: {error}; is a C compiler installed?"
            ) from error
    return program


def command(name: str, **options: object) -> list[str]:
    """How to run a client. Options are those of the program, `_` for `-`."""
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    return [str(build(name)), *words]


class Subscribers:
    """`count` WebSocket clients in one process. Options are those of the program, `_` for `-`.

    `opened` is what the client said when all were there: `open`, `gone`, `seconds`.
    """

    def __init__(self, port: int, count: int, **options: object) -> None:
        self._process = subprocess.Popen(
            command("subscribers", port=port, count=count, **options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {CLIENT_CORE}),
        )
        self.opened = self._next("ready")
        if self.opened["gone"]:
            self.close()
            raise ClientFailed(f"{self.opened['gone']} of {count} connections were refused or lost")

    def done(self) -> dict[str, Any]:
        """Wait for the end: `messages`, `least` and `most` per connection, `bytes`, `first_ns`, `last_ns`."""
        return self._next("done")

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Subscribers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, event: str) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ClientFailed(f"the load client ended before it was {event}")
        answer = json.loads(line)
        if answer["event"] != event:
            raise ClientFailed(f"the load client gave up before it was {event}: {answer}")
        return answer
