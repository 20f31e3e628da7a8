"""The end of a worker that gets no more work: what invocations left running is waited for, told, and ended.

Owns the waiting, in a thread of its own, so that code which holds the loop delays nothing. It asks the
process to end as a program does; only where an invocation still runs, or it does not follow, by force.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from headwater.worker.leftovers import Leftover, Leftovers
from headwater.worker.loglines import Send, log_line, send_log

LOOK_EVERY = 0.05
"""Seconds between two looks whether something still runs."""

PATIENCE = 10.0
"""Seconds in which the process must end once it was asked to; then it is ended whatever it does."""

MOST_TOLD = 20
"""Most of what is ended that gets a line of its own in the log."""


class Farewell:
    """`linger` is for how many seconds what is left may go on. `stop` asks the process to end, from any
    thread; `is_busy` tells whether an invocation still runs."""

    def __init__(
        self, leftovers: Leftovers, send: Send, stop: Callable[[], None], is_busy: Callable[[], bool]
    ) -> None:
        self.linger = 0.0
        self._is_busy = is_busy
        self._leftovers = leftovers
        self._send = send
        self._stop = stop
        self._lock = threading.Lock()
        self._until: float | None = None

    def begin(self, linger: float | None = None) -> None:
        """Wait for what is left, then end. Never blocks; called again, it can only make the wait shorter."""
        until = time.monotonic() + (self.linger if linger is None else linger)
        with self._lock:
            begun, self._until = self._until is not None, min(until, self._until or until)
        if not begun:
            threading.Thread(target=self._wait, name="headwater-farewell", daemon=True).start()

    def _wait(self) -> None:
        while (left := self._leftovers.find()) and time.monotonic() < (self._until or 0.0):
            time.sleep(LOOK_EVERY)
        for one in left[:MOST_TOLD]:
            self._tell(one)
        if len(left) > MOST_TOLD:
            send_log(self._send, log_line("warn", f"{len(left) - MOST_TOLD} more were ended", {}, None))
        if not self._is_busy():
            self._stop()
            time.sleep(PATIENCE)
        # What runs is cut off where it stands: its caller is told by the server that its worker is gone.
        os._exit(1)

    def _tell(self, left: Leftover) -> None:
        place = f"{left.file}:{left.line}" if left.file else "an unknown place"
        text = f"{left.what} was ended with its worker, at {place}"
        fields = {"file": left.file, "line": left.line, "in": left.code}
        send_log(self._send, log_line("warn", text, fields, left.invocation))
