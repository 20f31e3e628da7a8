"""One worker process: its start, its socket, its output, its end.

Owns the operating system's side of a worker. Carries messages both ways and knows what none of them means
(`worker.py` does). When the server dies the socket closes, and the worker ends by that (`spec/WORKER.md`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from headwater.errors import ProtocolFault
from headwater.logline import Line, tell
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.slices import Slices

log = logging.getLogger("headwater.steps")
user_log = logging.getLogger("headwater.user")

MAX_LINE_BYTES = 16 * 1024
"""The longest line of a worker's output that is logged as one."""
KEPT_LINES = 20
"""Lines of standard error that are kept, to explain a death."""
LAST_WORDS_GRACE = 0.1
"""Seconds that the end of its output is waited for once the process is gone: a grandchild may hold it."""
FATAL = ("FATAL ERROR: ", "Fatal Python error: ")
"""How the runtimes of user code begin the line that says why they end."""
END_GRACE = 2.0
"""Seconds between the request to end and the end of the process, after which it is killed."""
EXIT_GRACE = 1.0
"""Seconds between a closed socket and the end of its process, after which it is killed."""
MOST_GATHERED = 64 * 1024
MOST_FRAMES = 8
"""Bytes and frames that wait for the end of the loop's turn; as many are written at once. Were all that a
busy turn sends written at its end, server and workers would work by turns instead of at the same time."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What every worker of a pool is started with. `frame_limit` is in bytes, `command` a program with its
    arguments. `environment` is added to the server's own; it holds secrets."""

    root: Path
    frame_limit: int
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    command: Sequence[str] = ()


class WorkerProcess:
    """A running process with its socket. Made by `start`.

    `ended` is set once, when the process is gone and everything it wrote has been received, to words that say
    how it ended ("exit code 3", "signal SIGKILL").
    """

    def __init__(self, receive: Callable[[Message], None], frame_limit: int) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = loop.create_future()
        self.last_words: deque[str] = deque(maxlen=KEPT_LINES)
        self.pid = 0
        self._messages = Slices(receive, self._read)
        self._paused = False
        self._unread: set[int] = set()  # Of its outputs, those that have brought more than a slice.
        self._frame_limit = frame_limit
        self._decoder = protocol.Decoder("worker", limit=frame_limit)
        self._loop = loop
        self._socket: asyncio.Transport | None = None
        self._gathered: list[protocol.Section] = []
        self._gathered_bytes = 0
        self._child: asyncio.SubprocessTransport | None = None
        self._socket_open = True
        self._exit_code: int | None = None
        self._reason = ""
        self._ending = False
        self._fatal = ""
        self._speaking = {1, 2}

    @classmethod
    async def start(cls, launch: Launch, receive: Callable[[Message], None]) -> WorkerProcess:
        """Start a process; every message it sends goes to `receive`. Cancelled, it leaves no process behind.

        :raises OSError: no process could be started.
        """
        starting = asyncio.ensure_future(cls._start(launch, receive))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The callback kills it even when this clean-up is cancelled in its turn.
            starting.add_done_callback(_kill_started)
            await asyncio.wait({starting})
            if starting.exception() is None:
                await starting.result().end()
            raise

    @classmethod
    async def _start(cls, launch: Launch, receive: Callable[[Message], None]) -> WorkerProcess:
        process = cls(receive, launch.frame_limit)
        ours, theirs = socket.socketpair()
        try:
            await process._spawn(launch, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: _Link(process), sock=ours)
        except BaseException:
            process.kill()
            raise
        return process

    async def _spawn(self, launch: Launch, theirs: socket.socket) -> None:
        environment = {
            **os.environ,
            **launch.environment,
            protocol.FD_VARIABLE: str(theirs.fileno()),
            protocol.LIMIT_VARIABLE: str(launch.frame_limit),
            "PYTHONUNBUFFERED": "1",
        }
        child, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Output(self),
            *launch.command,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=environment,
            cwd=str(launch.root),
            # A Ctrl-C at the terminal is for the server alone, which then lets the workers finish.
            start_new_session=True,
        )
        self._child = child
        self.pid = child.get_pid()

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        link = self._live()
        return self._gathered_bytes + link.get_write_buffer_size() if link is not None else 0

    def send(self, message: Message) -> int:
        """Write a message and answer its size in bytes; to a process that is gone it is dropped.

        What is sent in one turn of the loop is written together at its end: a write of its own for each frame
        was a fifth of the server's time in a crowd of requests, for each wakes the worker.

        :raises TooLarge: it passes the limit on frames; nothing was written.
        """
        buffers = protocol.encode(message, limit=self._frame_limit)
        size = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        if not self._gathered:
            self._loop.call_soon(self._write_gathered)
        self._gathered += buffers
        self._gathered_bytes += size
        if self._gathered_bytes > MOST_GATHERED or len(self._gathered) >= MOST_FRAMES:
            self._write_gathered()
        return size

    def _write_gathered(self) -> None:
        gathered, size = self._gathered, self._gathered_bytes
        self._gathered, self._gathered_bytes = [], 0
        link = self._live()
        if link is None or not gathered:
            return
        if size <= MOST_GATHERED:
            link.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
        else:
            link.writelines(gathered)

    def pause(self) -> None:
        """Stop reading what the process sends, until `resume`."""
        self._paused = True
        self._read(False)

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._read(not self._messages.behind)

    def _read(self, wanted: bool) -> None:
        link = self._live()
        if link is None or link.is_reading() == (wanted and not self._paused):
            return
        if link.is_reading():
            link.pause_reading()
        else:
            link.resume_reading()

    def _live(self) -> asyncio.Transport | None:
        """The socket, unless it is closed or closing; then it can neither be written nor paused."""
        return self._socket if self._socket is not None and not self._socket.is_closing() else None

    def kill(self, reason: str = "") -> None:
        """End the process now; `reason` is told with its end."""
        self._reason = self._reason or reason
        if self._exit_code is None and self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
        # Paused, it would never see the end of the socket.
        self.resume()

    def end_soon(self, reason: str) -> None:
        """Ask the process to end and to tell what it ends; it is killed if it takes its time. Asked again, it
        has been asked."""
        if self._ending:
            return
        self._ending = True
        self._reason = self._reason or reason
        self.resume()
        self.send(protocol.end())
        asyncio.get_running_loop().call_later(END_GRACE, self.kill, reason)

    async def end(self) -> None:
        """End the process now; returns when it is gone."""
        self.kill()
        await asyncio.wait({self.ended})

    def connected(self, transport: asyncio.Transport) -> None:
        """The socket is open."""
        self._socket = transport

    def received(self, data: bytes) -> None:
        """Bytes came from the process; one that breaks the protocol is ended."""
        self._messages.take(self._decoded(data))

    def _decoded(self, data: bytes) -> Iterator[Message]:
        try:
            yield from self._decoder.feed(data)
        except ProtocolFault as fault:
            log.error("A worker broke the protocol and is ended: %s", fault.message)
            self.kill(f"it broke the protocol: {fault.message}")
            if self._socket is not None:
                self._socket.abort()

    def disconnected(self) -> None:
        """The socket is closed: the process is ending, or is made to."""
        self._messages.finish()
        self._socket_open = False
        if self._exit_code is None:
            asyncio.get_running_loop().call_later(EXIT_GRACE, self.kill, "it closed its socket")
        self._settle()

    def exited(self) -> None:
        """The process is gone and reaped."""
        code = self._child.get_returncode() if self._child is not None else None
        self._exit_code = -1 if code is None else code
        if self._socket is None:
            self._socket_open = False
        elif self._socket_open:
            self.resume()
            # What it wrote last is still read; a grandchild that holds the socket open is not waited for.
            asyncio.get_running_loop().call_later(EXIT_GRACE, self._socket.abort)
        asyncio.get_running_loop().call_later(LAST_WORDS_GRACE, self._listen_no_longer, END_GRACE)
        if _signal_group(self.pid, signal.SIGTERM):
            asyncio.get_running_loop().call_later(END_GRACE, _signal_group, self.pid, signal.SIGKILL)
        self._settle()

    def _listen_no_longer(self, left: float) -> None:
        """The process is gone: what it has written is read, for `left` seconds if it is so much."""
        if self._unread and left > 0:
            more = left - LAST_WORDS_GRACE
            asyncio.get_running_loop().call_later(LAST_WORDS_GRACE, self._listen_no_longer, more)
        else:
            self.fell_silent(1, 2)

    def fell_silent(self, *outputs: int) -> None:
        """Nothing more comes on standard output (1) or error (2), or it is not waited for."""
        self._speaking.difference_update(outputs)
        self._settle()

    def _settle(self) -> None:
        if self._socket_open or self._speaking or self._exit_code is None or self.ended.done():
            return
        if self._child is not None:
            self._child.close()
        words, reason = _exit_words(self._exit_code), self._reason or self._fatal
        self.ended.set_result(f"{words}: {reason}" if reason else words)

    def read_output(self, fd: int, wanted: bool) -> None:
        """Read standard output (1) or error (2), or leave it unread for now."""
        (self._unread.discard if wanted else self._unread.add)(fd)
        pipe = self._child.get_pipe_transport(fd) if self._child is not None else None
        if pipe is None or pipe.is_closing():
            return
        # uvloop's transports are no subclasses of asyncio's, so this is told, not checked.
        pipe = cast(asyncio.ReadTransport, pipe)
        if wanted:
            pipe.resume_reading()
        else:
            pipe.pause_reading()

    def said(self, line: str) -> None:
        """A line came on standard error."""
        self.last_words.append(line)
        if line.startswith(FATAL):
            self._fatal = line


class _Link(asyncio.Protocol):
    """The socket's events, passed on."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so this is told, not checked.
        self._process.connected(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._process.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._process.disconnected()


class _Output(asyncio.SubprocessProtocol):
    """Standard output and error, logged line by line."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        self._rest = {1: b"", 2: b""}
        self._lines = {fd: Slices(partial(self._line, fd), partial(process.read_output, fd)) for fd in (1, 2)}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, rest = (self._rest[fd] + data).split(b"\n")
        while len(rest) > MAX_LINE_BYTES:
            lines.append(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
        self._rest[fd] = rest
        self._lines[fd].take(iter(lines))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in self._lines:
            self._lines[fd].finish()
        if self._rest.get(fd):
            self._line(fd, self._rest[fd])
            self._rest[fd] = b""
        self._process.fell_silent(fd)

    def process_exited(self) -> None:
        self._process.exited()

    def _line(self, fd: int, line: bytes) -> None:
        text = line[:MAX_LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
        name, level = ("stdout", logging.INFO) if fd == 1 else ("stderr", logging.WARNING)
        if fd != 1:
            self._process.said(text)
        fields = {"output": name, "pid": self._process.pid}
        tell(user_log, level, Line(fields=fields), "%s", text)


def _kill_started(starting: asyncio.Future[WorkerProcess]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().kill()


def _signal_group(leader: int, what: signal.Signals) -> bool:
    """Signal what user code has started from a worker that is gone; answers whether there was any. Each
    worker leads a session of its own, and so do its children unless they were started in one of theirs."""
    try:
        os.killpg(leader, what)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _exit_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
