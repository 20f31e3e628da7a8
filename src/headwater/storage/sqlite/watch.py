"""A look at the files each second, beside whoever writes them. Owns the thread and the pace alone."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

LOOK_SECONDS = 1.0
"""Between two looks: what a power cut may cost the marker."""


class Watch:
    """Calls `look` each second from `start` to `stop`. It must not raise."""

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
            self._look()
