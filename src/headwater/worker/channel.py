"""The worker's end of the socket. Owns writing from any thread, and the process's death; reading is
`reading.py`'s.

Rules: whoever sends may block (the server's back pressure), so what is done with a message that was read
never sends: it hands its replies to a thread of their own. The socket stays in blocking mode. When the server
is gone the process ends at once, whatever user code is doing. Knows no message.
"""

from __future__ import annotations

import asyncio
import functools
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from headwater.errors import HeadwaterError, ProtocolFault
from headwater.protocol.workers.messages import Decoder, Message, Section, encode
from headwater.worker.reading import Outlet, Reading

SEND_DEPTH = 3
"""How many calls deep a thread may be within `_write` when it blocks."""

JOIN_BELOW = 64 * 1024
"""Bytes up to which several frames are copied together, to be written at once."""


class Channel:
    """The socket to the server. `limit` is the largest frame in bytes."""

    def __init__(self, connection: socket.socket, limit: int) -> None:
        self._socket = connection
        self._limit = limit
        self._lock = threading.Lock()
        self._held: list[Section] = []
        self._seen: list[Section] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._replies: queue.SimpleQueue[Message | threading.Event | None] = queue.SimpleQueue()
        self._forked = False
        self._decoder = Decoder("server", limit=limit)
        connection.setblocking(True)
        os.set_inheritable(connection.fileno(), False)
        os.register_at_fork(after_in_child=self._after_fork)

    def start(self, loop: asyncio.AbstractEventLoop, on_message: Callable[[Message], None]) -> None:
        """Begin to read; `on_message` is called on the loop or, while it stands still, on a thread, one
        message after the other. It must neither block nor send."""
        self._loop = loop
        outlet = Outlet(functools.partial(self._received, on_message), self._deserted)
        Reading(self._socket, loop, outlet).start()
        self._socket.setblocking(True)  # uvloop has set it otherwise, and needs it not.
        threading.Thread(target=self._reply, name="headwater-replies", daemon=True).start()

    # --- writing ---

    def send(self, message: Message) -> None:
        """Write a message; it is on the socket when this returns. Blocks while the server does not read.

        :raises TooLarge: the frame would pass the limit; nothing was written.
        :raises HeadwaterError: this is a forked process, which has no server.
        """
        buffers = encode(message, limit=self._limit)
        self._see_that_server_is_there()
        with self._lock:
            self._write(buffers)

    def send_soon(self, message: Message) -> None:
        """Write a message before the next one, at the latest when the loop has done what it has ready; on the
        loop alone. So the answers of a crowd leave together.

        Raises as `send`.
        """
        buffers = encode(message, limit=self._limit)
        self._see_that_server_is_there()
        assert self._loop is not None
        with self._lock:
            if not self._held:
                self._loop.call_soon(self._write_held)
            self._held += buffers

    @property
    def waits(self) -> bool:
        """Whether something is to be sent soon."""
        return bool(self._held)

    def send_if_late(self) -> None:
        """Have another thread send what was to be sent soon when this was last called, and still is: then
        something holds the loop."""
        held, seen = self._held, self._seen
        self._seen = held if held else None
        if held and held is seen:
            self._replies.put(None)

    def holds_main_thread(self) -> bool:
        """Whether the main thread waits for the socket now, because the server does not read."""
        frame = sys._current_frames().get(threading.main_thread().ident or 0)  # pyright: ignore[reportPrivateUsage]
        for _ in range(SEND_DEPTH):
            if frame is None or frame.f_code is Channel._write.__code__:
                break
            frame = frame.f_back
        else:
            return False
        return frame is not None

    def reply(self, message: Message) -> None:
        """Write a message soon, from where a message is read, without blocking it."""
        self._replies.put(message)

    def flush(self, timeout: float) -> None:
        """Wait until the replies so far are written, at most `timeout` seconds."""
        written = threading.Event()
        self._replies.put(written)
        written.wait(timeout)

    def _see_that_server_is_there(self) -> None:
        if self._forked:
            raise HeadwaterError("A process forked from a worker cannot talk to the server.")

    def _write_held(self) -> None:
        with self._lock:
            if self._held:
                self._write(())

    def _write(self, buffers: Sequence[Section]) -> None:
        """Write what is held and then these, with the lock held."""
        if self._held:
            buffers, self._held = [*self._held, *buffers], []
        if len(buffers) > 1 and sum(map(len, buffers)) <= JOIN_BELOW:
            buffers = (b"".join(buffers),)
        try:
            for buffer in buffers:
                self._socket.sendall(buffer)
        except BlockingIOError:
            # Someone who shares the open file has set it non-blocking. sendall cannot say how far it came,
            # so nothing can be saved: but no byte was lost silently either.
            self._end(1)
        except OSError:
            self._deserted()

    def _reply(self) -> None:
        while True:
            reply = self._replies.get()
            if reply is None:
                self._write_held()
            elif isinstance(reply, threading.Event):
                self._write_held()
                reply.set()
            else:
                self.send(reply)

    # --- reading ---

    def _received(self, on_message: Callable[[Message], None], data: memoryview) -> None:
        try:
            for message in self._decoder.feed(data):
                on_message(message)
        except ProtocolFault as fault:
            print(f"headwater worker: {fault.message}", file=sys.stderr, flush=True)
            self._end(1)
        except BaseException:
            traceback.print_exc()
            self._end(1)

    def _deserted(self) -> NoReturn:
        """The server is gone, and nobody else ends what user code has started from here. A worker that the
        server has started leads its group of processes."""
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        self._end(0)

    def _end(self, status: int) -> NoReturn:
        # No cleaning up: user code may hold any lock and block any thread.
        os._exit(status)

    def _after_fork(self) -> None:
        # Else the server would not see the end of file of a dead worker while its child lives.
        self._forked = True
        self._socket.close()
