"""Runs pure functions over large texts in processes beside the loop: decoding holds the interpreter's lock
from beginning to end, so a thread would hold up everybody all the same.

Owns the processes: started when needed, ended when idle, so that what they took comes back. Knows no
function: one is `(bytes, given) -> bytes`, importable by its name, raises HeadwaterError, and is given plain
JSON values.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from headwater.aside.frames import LENGTHS, Frame
from headwater.errors import HeadwaterError, Overloaded, error_of

MOST = 2
"""Processes at once; what finds none free waits."""

IDLE_SECONDS = 20.0
"""After which a process that has nothing to do is ended."""

Pure = Callable[[bytes, Mapping[str, Any]], bytes]


class Aside:
    """The processes of one server. `run` may be called from one event loop; `close` it once."""

    def __init__(self, most: int = MOST, idle_seconds: float = IDLE_SECONDS) -> None:
        self._turns = asyncio.Semaphore(most)
        self._idle: list[_Process] = []
        self._idle_seconds = idle_seconds
        self._ending: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._ends: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def idle(self) -> int:
        """How many processes have nothing to do."""
        return len(self._idle)

    async def run(self, function: Pure, data: bytes, given: Mapping[str, Any]) -> bytes:
        """What the function answers. Cancelled, what has begun goes on, and its answer is thrown away.

        :raises HeadwaterError: what the function raised.
        :raises Overloaded: its process ended before it did, or could not be started.
        """
        async with self._turns:
            work = _kept(self._running, self._run(function, data, given))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                # It keeps its turn until it has ended: those who leave make no room for others to begin.
                if not work.done():
                    await _quietly(work)
                raise

    async def close(self) -> None:
        """End all processes, whatever they do."""
        self._closed = True
        for work in self._running:
            work.cancel()
        while self._running:
            await _quietly(*self._running)
        self._end_idle()
        while self._ends:
            await _quietly(*self._ends)

    async def _run(self, function: Pure, data: bytes, given: Mapping[str, Any]) -> bytes:
        process = self._idle.pop() if self._idle else None
        try:
            if process is None:
                process = await _Process.start()
            question = Frame({"function": [function.__module__, function.__name__], "given": given}, data)
            answer = await process.ask(question)
        except BaseException as fault:
            if process is not None:
                _kept(self._ends, process.end())
            if isinstance(fault, OSError | EOFError):
                raise Overloaded("What reads large JSON ended.", hint="Try again.") from fault
            raise
        self._rest(process)
        if "error" in answer.header:
            raise _error(answer.header)
        return answer.body

    def _rest(self, process: _Process) -> None:
        if self._closed:
            _kept(self._ends, process.end())
            return
        self._idle.append(process)
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle)

    def _end_idle(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        idle, self._idle = self._idle, []
        for process in idle:
            _kept(self._ends, process.end())


class _Process:
    """One process and the pipes to it."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._child, self._questions, self._answers = child, child.stdin, child.stdout

    @classmethod
    async def start(cls) -> _Process:
        # -P: a file in the working directory must not shadow a library.
        command = (sys.executable, "-P", "-m", "headwater.aside")
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def ask(self, question: Frame) -> Frame:
        """:raises OSError: (or EOFError) the process has ended."""
        self._questions.write(question.head())
        self._questions.write(question.body)
        await self._questions.drain()
        header, body = LENGTHS.unpack(await self._answers.readexactly(LENGTHS.size))
        return Frame(
            orjson.loads(await self._answers.readexactly(header)), await self._answers.readexactly(body)
        )

    async def end(self) -> None:
        """End it at once; it holds nothing that matters."""
        if self._child.returncode is None:
            self._child.kill()
        self._questions.close()
        while await self._answers.read(LENGTHS.size * 1024):
            pass
        await self._child.wait()


def _kept(among: set[asyncio.Task[Any]], work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.create_task(work)
    among.add(task)
    task.add_done_callback(among.discard)
    return task


async def _quietly(*work: asyncio.Task[Any]) -> None:
    """Wait for it; what it raises is nobody's here."""
    await asyncio.wait(work)
    for one in work:
        _ = one.cancelled() or one.exception()


def _error(header: Mapping[str, Any]) -> HeadwaterError:
    error = error_of(header["error"]) or HeadwaterError("Reading large JSON failed.")
    limit = header.get("limit")
    return error if limit is None else error.at(*limit)
