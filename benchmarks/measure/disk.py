"""What the disk alone needs to make a small write durable: no durable store can answer sooner."""

from __future__ import annotations

import os
import time

from benchmarks.measure.place import WORK
from benchmarks.measure.roundtrip import RoundTrip

PAGE = bytes(4096)
PAGES = 1000
"""The file is this long before anything is timed, so that no write has to grow it."""


class Disk:
    """A file on the disk that the stores of the benchmarks use."""

    def __init__(self) -> None:
        WORK.mkdir(exist_ok=True)
        self._file = os.open(WORK / "disk", os.O_CREAT | os.O_RDWR)
        os.write(self._file, PAGE * PAGES)
        os.fsync(self._file)
        self._next = 0

    def round_trip(self) -> RoundTrip:
        """Write one page and wait until it is durable; the time for both."""
        began = time.perf_counter()
        os.pwrite(self._file, PAGE, self._next % PAGES * len(PAGE))
        os.fdatasync(self._file)
        self._next += 1
        return RoundTrip(time.perf_counter() - began, 0.0)

    def close(self) -> None:
        os.close(self._file)
