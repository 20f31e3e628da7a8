"""A look at the files each second, beside whoever writes them. Owns the thread and the pace alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

log = logging.getLogger("headwater.storage")

LOOK_SECONDS = 1.0
"""Between two looks: what a power cut may cost the marker."""


class Watch:
    """Calls `look` each second from `start` to `stop`. One that fails is told, and the next comes all the
    same."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._ending = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = Thread(target=self._work, name="headwater-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; no look is under way when this returns."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            try:
                self._look()
            except Exception:
                log.exception("The store's files could not be looked at")
