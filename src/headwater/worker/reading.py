"""Who reads the socket: the loop while it turns, else a thread that stands in for it.

A thread that reads for the loop costs a switch of threads for each message, a third of a worker's time in a
crowd of requests. But while user code holds the loop, messages must be taken all the same: an invocation to
be given back, the answer that a plain function waits for, the end of the server. So:

- The loop reads. The thread sleeps until something comes, and then looks now and then whether the loop has
  read it.
- Bytes lie there and the loop has not read for `PATIENCE`: the thread reads, until the loop has turned again.

One lock is held from taking bytes until their messages are handed on, so these stay in order. Whoever hands
them on must neither block nor send. Knows no message.
"""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

READ_BYTES = 256 * 1024
"""Most bytes taken from the socket at once."""

PATIENCE = 0.005
"""Seconds that bytes may lie there before the thread takes them."""


class Outlet(NamedTuple):
    """Where what was read goes, on whichever thread read it: `data` takes the next bytes, `ended` the end of
    the socket."""

    data: Callable[[memoryview], None]
    ended: Callable[[], None]


class Reading:
    """Reads a blocking socket from `start` on, also before the loop runs and while it stands still."""

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop, outlet: Outlet) -> None:
        self._socket = connection
        self._loop = loop
        self._outlet = outlet
        self._lock = threading.Lock()
        self._space = memoryview(bytearray(READ_BYTES))
        self._turns = 0
        """How often the loop has read, or shown that it turns."""

    def start(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._socket.fileno(), self._read_on_loop)
        threading.Thread(target=self._watch, name="headwater-reader", daemon=True).start()

    # --- on the loop ---

    def _read_on_loop(self) -> None:
        self._turns += 1
        with self._lock:
            self._read()

    def _turned(self) -> None:
        self._turns += 1

    # --- on the thread ---

    def _watch(self) -> None:
        came = select.poll()
        came.register(self._socket, select.POLLIN)
        while True:
            self._stand_in(came)  # At first because the loop does not run yet.
            while not self._is_held_up(came):
                pass

    def _is_held_up(self, came: select.poll) -> bool:
        """Wait for something to come, then for the loop to read it; whether it has not.

        - Nothing lies there: sleep until something comes.
        - The loop has read within `PATIENCE`: more may be coming, so look again in a while, without asking
          for each message to be woken.
        - It has not, and nothing lies there: back to sleep.
        """
        came.poll()
        while True:
            turns = self._turns
            time.sleep(PATIENCE)
            if self._turns == turns:
                return bool(came.poll(0))

    def _stand_in(self, came: select.poll) -> None:
        """Read until the loop turns."""
        turns = self._turns
        self._loop.call_soon_threadsafe(self._turned)
        while came.poll() and self._turns == turns:
            with self._lock:
                self._read()

    # --- on either ---

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._space, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # The other one was quicker.
        if size:
            self._outlet.data(self._space[:size])
        else:
            self._outlet.ended()
