"""Memory that was freed goes back to the system. Owns what glibc is told about it; elsewhere it does nothing.

glibc keeps what it was given back, and after the first large buffer takes further ones from a heap that
shrinks only at its end: a server that once held a few hundred megabytes for its clients would keep them for
good.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys

MAPPED_BYTES = 256 * 1024
"""From this size on a buffer is mapped by itself, and gone when it is freed. A socket's reads are smaller."""

TRIM_SECONDS = 10.0
"""How often the rest is given back: some milliseconds in a thread, without the interpreter's lock."""

SLACK_BYTES = 64 * 1024 * 1024
"""How much free memory may lie at the end of a heap until the next look. By default the heap is cut and grown
again around every few requests."""

# mallopt(3); setting either also stops both from growing.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


class Allocator:
    """The C library's allocator, where it is one that can be told."""

    def __init__(self) -> None:
        self._libc: ctypes.CDLL | None = None
        try:
            libc = ctypes.CDLL(None) if sys.platform == "linux" else None
            if libc is not None and hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt"):
                self._libc = libc
        except OSError:
            return

    def settle(self) -> bool:
        """Have large buffers mapped by themselves from now on; whether that can be."""
        if self._libc is None or self._libc.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES) != 1:
            return False
        return self._libc.mallopt(_M_TRIM_THRESHOLD, SLACK_BYTES) == 1

    def trim(self) -> bool:
        """Give back what is free now; whether there was any. Blocks for a moment."""
        return self._libc is not None and self._libc.malloc_trim(0) == 1

    async def keep_trimming(self, seconds: float = TRIM_SECONDS) -> None:
        """Give back what is free, every few seconds, until cancelled."""
        while self._libc is not None:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self.trim)
