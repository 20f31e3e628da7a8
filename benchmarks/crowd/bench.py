"""Requests beside a room of 10,000 subscribers, one at a time: while the room is still, and while one change
after the other is flushed to it."""

from __future__ import annotations

import threading
import time

from benchmarks.measure.dialect import V0, V1, Dialect
from benchmarks.measure.place import SOURCES, sockets
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Row, Target, percentile
from benchmarks.measure.roundtrip import Client
from benchmarks.measure.subscribers import Subscribers

NAME = "crowd"
TITLE = "Requests beside a room of 10,000 subscribers, one at a time"
COUNT = 10_000
WARM_UP = 300
PAUSE_SECONDS = 0.02
"""Between a change's answer and the next change. A flush takes longer, so one is always under way."""


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    count = sockets(COUNT)
    seconds = 3.0 if quick else 15.0
    rows = [row for dialect in (V1, V0) for row in _rows(dialect, count, seconds)]
    return Result(
        NAME,
        TITLE,
        rows,
        [
            Target("ms, p50 of a request amid flushes", float(row["answer p50 ms"]), "at most", 5)
            for row in rows[1::2]
        ],
        [
            f"{count} subscribers; a step that does nothing answers; the room gets change after change",
            "the load client takes what the room is sent on a core that the server's workers use too",
        ],
    )


def _rows(dialect: Dialect, count: int, seconds: float) -> list[Row]:
    options = {"sources": SOURCES, **dialect.client_options}
    with headwater(store="memory:") as server, Subscribers(server.port, count, **options):
        client = Client(server.port, "/echo")
        for _ in range(WARM_UP):
            client.round_trip()
        rows = [_row(f"{dialect.name}, still", client, seconds, 0)]
        with Changes(server.port) as changes:
            row = _row(f"{dialect.name}, flushing", client, seconds, 0)
        row["changes/s"] = changes.made / changes.seconds
        client.close()
    return [*rows, row]


def _row(name: str, client: Client, seconds: float, changes: float) -> Row:
    """Ask for so long."""
    until, times = time.monotonic() + seconds, list[float]()
    while time.monotonic() < until:
        times.append(client.round_trip().answer)
    return {
        "room": name,
        "requests": len(times),
        "answer p50 ms": percentile(times, 0.5) * 1000,
        "answer p99 ms": percentile(times, 0.99) * 1000,
        "answer max ms": max(times) * 1000,
        "changes/s": changes,
    }


class Changes:
    """One change of the room after the other, by a thread of their own."""

    def __init__(self, port: int) -> None:
        self.made = 0
        self.seconds = 0.0
        self._client = Client(port, "/say")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Changes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(PAUSE_SECONDS):
            self._client.round_trip()
            self.made += 1
        self.seconds = time.monotonic() - began
