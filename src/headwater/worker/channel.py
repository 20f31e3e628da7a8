"""The worker's end of the socket. Owns writing from any thread, reading on one, and the process's death.

Rules: whoever sends may block (the server's back pressure), so the reading thread never sends: it hands its
replies to a thread of their own. The socket stays in blocking mode for both. When the server is gone the
process ends at once, whatever user code is doing. Knows no message.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

from headwater.errors import HeadwaterError, ProtocolFault
from headwater.protocol.workers.messages import Decoder, Message, Section, encode

READ_BYTES = 256 * 1024
"""Most bytes taken from the socket at once."""

SEND_DEPTH = 3
"""How many calls deep a thread may be within `send` when it blocks."""


class Channel:
    """The socket to the server. `limit` is the largest frame in bytes."""

    def __init__(self, connection: socket.socket, limit: int) -> None:
        self._socket = connection
        self._limit = limit
        self._lock = threading.Lock()
        self._replies: queue.SimpleQueue[Message | threading.Event] = queue.SimpleQueue()
        self._forked = False
        connection.setblocking(True)
        os.set_inheritable(connection.fileno(), False)
        os.register_at_fork(after_in_child=self._after_fork)

    def start(self, on_message: Callable[[Message], None]) -> None:
        """Begin to read; `on_message` is called on the reading thread and must neither block nor send."""
        threading.Thread(target=self._read, args=(on_message,), name="headwater-reader", daemon=True).start()
        threading.Thread(target=self._reply, name="headwater-replies", daemon=True).start()

    def send(self, message: Message) -> None:
        """Write a message; it is on the socket when this returns. Blocks while the server does not read.

        :raises TooLarge: the frame would pass the limit; nothing was written.
        :raises HeadwaterError: this is a forked process, which has no server.
        """
        buffers = encode(message, limit=self._limit)
        if self._forked:
            raise HeadwaterError("A process forked from a worker cannot talk to the server.")
        with self._lock:
            try:
                for buffer in buffers:
                    self._write(buffer)
            except OSError:
                self._end(0)

    def holds_main_thread(self) -> bool:
        """Whether the main thread waits in `send` now, because the server does not read."""
        frame = sys._current_frames().get(threading.main_thread().ident or 0)  # pyright: ignore[reportPrivateUsage]
        for _ in range(SEND_DEPTH):
            if frame is None or frame.f_code is Channel.send.__code__:
                break
            frame = frame.f_back
        else:
            return False
        return frame is not None

    def reply(self, message: Message) -> None:
        """Write a message soon, from the reading thread, without blocking it."""
        self._replies.put(message)

    def flush(self, timeout: float) -> None:
        """Wait until the replies so far are written, at most `timeout` seconds."""
        written = threading.Event()
        self._replies.put(written)
        written.wait(timeout)

    def _write(self, buffer: Section) -> None:
        try:
            self._socket.sendall(buffer)
        except BlockingIOError:
            # Someone who shares the open file has set it non-blocking. sendall cannot say how far it came,
            # so nothing can be saved: but no byte was lost silently either.
            self._end(1)

    def _reply(self) -> None:
        while True:
            reply = self._replies.get()
            if isinstance(reply, threading.Event):
                reply.set()
            else:
                self.send(reply)

    def _read(self, on_message: Callable[[Message], None]) -> None:
        decoder = Decoder("server", limit=self._limit)
        space = memoryview(bytearray(READ_BYTES))
        try:
            while size := self._receive(space):
                for message in decoder.feed(space[:size]):
                    on_message(message)
        except OSError:
            self._end(0)
        except ProtocolFault as fault:
            print(f"headwater worker: {fault.message}", file=sys.stderr, flush=True)
            self._end(1)
        except BaseException:
            traceback.print_exc()
            self._end(1)
        self._end(0)

    def _receive(self, space: memoryview) -> int:
        while True:
            try:
                return self._socket.recv_into(space)
            except BlockingIOError:
                select.select([self._socket], [], [])

    def _end(self, status: int) -> NoReturn:
        # No cleaning up: user code may hold any lock and block any thread.
        os._exit(status)

    def _after_fork(self) -> None:
        # Else the server would not see the end of file of a dead worker while its child lives.
        self._forked = True
        self._socket.close()
