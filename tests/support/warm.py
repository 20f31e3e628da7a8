"""`headwater` commands without the wait for their imports: a process that has imported everything forks them.

More than half of what a command or the start of a server costs is imports. What is forked is a command like
any other: a process with its own arguments, environment, folder and descriptors, which runs
`headwater.cli.main` from its first line to the interpreter's end, takes signals, and can be killed. What it
shares with the installed command is everything but the executable and the interpreter's own start, so tests
that are about those take that.

This file is also the program of the process that forks (one for each process of tests, at the first need).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

COMMAND = str(Path(sys.executable).with_name("headwater"))
READ_AT_THE_START = ("PYTHON", "LC_", "LANG")
"""How the names of variables begin that the interpreter reads when it starts, and never again."""

IMPORTED_LATE = ("anyio._backends._asyncio", "tomllib", "uvicorn.lifespan.off")
"""What a server imports while it starts."""


def pipe() -> tuple[IO[str], IO[str]]:
    """The end to read from, and the end for a process to write to."""
    there, here = os.pipe()
    return open(there, encoding="utf-8"), open(here, "w", encoding="utf-8")


class WarmProcess:
    """A command that runs, as `subprocess.Popen` has it. It writes to `out` and `err`, or all to `out`."""

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], out: IO[str], err: IO[str]
    ) -> None:
        self.args = [COMMAND, *arguments]
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        """Where whoever started it reads what it writes."""
        self._lock = threading.Lock()
        self._told, theirs = socket.socketpair()
        given = {"argv": self.args, "cwd": str(cwd), "environ": dict(env)}
        with theirs, open(os.devnull) as nothing:
            _forker().fork([nothing.fileno(), out.fileno(), err.fileno(), theirs.fileno()])
            self._told.sendall(json.dumps(given).encode() + b"\n")
        self.pid = self._next()

    def poll(self) -> int | None:
        """How it ended, once it has."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, as soon as it has; a signal's number is below zero.

        :raises subprocess.TimeoutExpired: it still runs.
        """
        with self._lock:
            if self.returncode is None:
                if not select.select([self._told], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                self.returncode = self._next()
                self._told.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without a word."""
        self.send_signal(signal.SIGKILL)

    def _next(self) -> int:
        text = b""
        while not text.endswith(b"\n"):
            more = self._told.recv(1)
            if not more:
                raise ProcessLookupError("the process that forks commands has ended")
            text += more
        return int(text)


class _Forker:
    """The process that forks, as its client sees it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def fork(self, fds: list[int]) -> None:
        """Have a command forked: its standard input, output and error, and the socket that says which."""
        with self._lock:
            socket.send_fds(self._socket, [b"."], fds)

    def close(self) -> None:
        """End it, and what it forked."""
        self._socket.close()
        self._process.wait()


_the_forker: list[_Forker] = []
_making = threading.Lock()


def _forker() -> _Forker:
    with _making:
        if not _the_forker:
            _the_forker.append(_Forker())
            atexit.register(_the_forker[0].close)
        return _the_forker[0]


def can_be_forked(environ: Mapping[str, str]) -> bool:
    """Whether a command in this environment is the same when it is forked: its interpreter would have started
    the same."""

    def read_at_the_start(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: text for name, text in variables.items() if name.startswith(READ_AT_THE_START)}

    return read_at_the_start(environ) == read_at_the_start(os.environ)


# --- the process that forks ---


class _Forking:
    """Forks on request and tells how each ended."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._running: dict[int, socket.socket] = {}
        signal.signal(signal.SIGCHLD, self._reap)
        # A Ctrl-C at the terminal is for the tests, whose end is the end of all here.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def until_a_child(self) -> None:
        """Return in each process that was forked; the one that forks never comes back from here."""
        while True:
            byte, fds, _, _ = socket.recv_fds(self._requests, 1, 4)
            if not byte:
                self._end()
            told = socket.socket(fileno=fds.pop())
            given = told.makefile("rb").readline()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            pid = os.fork()
            if not pid:
                told.close()
                self._become(json.loads(given), fds)
                return
            self._running[pid] = told
            told.sendall(b"%d\n" % pid)
            for fd in fds:
                os.close(fd)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])

    def _become(self, given: dict[str, object], fds: list[int]) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        self._requests.close()
        for other in self._running.values():
            other.close()
        for number, (name, fd) in enumerate(zip(("stdin", "stdout", "stderr"), fds, strict=True)):
            os.dup2(fd, number)
            os.close(fd)
            # As the interpreter makes them; those that are there know their descriptors of before.
            before: IO[str] = getattr(sys, name)
            buffering = 1 if name == "stderr" else -1
            made = open(  # noqa: SIM115
                number, before.mode, buffering, before.encoding, before.errors, closefd=False
            )
            setattr(sys, name, made)
            setattr(sys, f"__{name}__", made)
        os.chdir(str(given["cwd"]))
        os.environ.clear()
        os.environ.update(given["environ"])
        sys.argv[:] = given["argv"]

    def _reap(self, *_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with self._running.pop(ended[0]) as told, suppress(OSError):
                    told.sendall(b"%d\n" % os.waitstatus_to_exitcode(ended[1]))

    def _end(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _fork() -> None:
    # In a function of its own, whose locals are gone in what was forked.
    import headwater.cli
    from headwater.cli.main import main

    for module in pkgutil.iter_modules(headwater.cli.__path__, "headwater.cli."):
        importlib.import_module(module.name)
    for late in IMPORTED_LATE:
        importlib.import_module(late)
    # What reads the words of a command is imported with the first of them.
    main(["--version"])
    gc.collect()
    gc.freeze()
    _Forking(socket.socket(fileno=int(sys.argv[1]))).until_a_child()


if __name__ == "__main__":
    _fork()
    from headwater.cli.main import run

    run()
