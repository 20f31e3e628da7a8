"""One server under measurement: a process on a core of its own, its CPU time and memory."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import psutil

from benchmarks.measure.place import PROJECT, SERVER_CORE, WORK

START_SECONDS = 60.0
STOP_SECONDS = 15.0


class Cpu(NamedTuple):
    """CPU time of a process and its children so far, in seconds. The kernel counts it in steps of 10 ms."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def since(self, earlier: Cpu) -> Cpu:
        return Cpu(self.user - earlier.user, self.system - earlier.system)


class ServerFailed(Exception):
    """The server did not start, or ended by itself; the message holds the end of its log."""


class Server:
    """A server process. Use it as a context manager; it is stopped with everything it started.

    Without `port`, the command prints `ready PORT` on standard output once it listens, and takes orders as
    lines of JSON on standard input. With `port`, it counts as started once that port accepts connections.

    `cores` are those it may run on.
    """

    def __init__(
        self,
        name: str,
        command: Iterable[str | Path],
        *,
        port: int | None = None,
        cores: Iterable[int] = (SERVER_CORE,),
        cwd: Path = PROJECT,
        env: Mapping[str, str] | None = None,
    ) -> None:
        WORK.mkdir(exist_ok=True)
        self.name = name
        self._log = WORK / f"{name}.log"
        chosen = set(cores)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=log if port else subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, chosen),
            )
        self._seen = psutil.Process(self._process.pid)
        self.port = port or self._read_port()
        if port:
            self._await_port()

    def order(self, **order: object) -> None:
        """Tell the server what to do now."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def cpu(self) -> Cpu:
        """CPU time so far of the server and every process it has running."""
        times = [process.cpu_times() for process in self._family()]
        return Cpu(sum(time.user for time in times), sum(time.system for time in times))

    def own_cpu(self) -> Cpu:
        """CPU time so far of the server process alone."""
        times = self._seen.cpu_times()
        return Cpu(times.user, times.system)

    def memory(self) -> int:
        """Resident memory of the server process alone, in bytes."""
        return self._seen.memory_info().rss

    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End the server, and whatever it left behind, for good."""
        family = self._family()
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._seen, *self._seen.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _read_port(self) -> int:
        assert self._process.stdout
        while select.select([self._process.stdout], [], [], START_SECONDS)[0]:
            word, _, port = self._process.stdout.readline().decode().partition(" ")
            if word == "ready":
                return int(port)
            if not word:
                break
        self.stop()
        raise self._failure("did not get ready")

    def _await_port(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.alive() and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise self._failure(f"did not listen on port {self.port}")

    def _failure(self, what: str) -> ServerFailed:
        end = self._log.read_text(errors="replace")[-2000:]
        return ServerFailed(f"{self.name} {what}; its log ends with:\n{end}")


def free_port(lowest: int = 20_000, highest: int = 30_000) -> int:
    """A TCP port that nobody listens on at this moment, below those that the system hands out by itself."""
    for port in random.sample(range(lowest, highest), highest - lowest):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise ServerFailed(f"no port is free from {lowest} to {highest}")
