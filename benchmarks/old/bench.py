"""From an emit of an API step until the event step begins that it is for, one at a time: the very same files
here and on the old framework."""

from __future__ import annotations

import http.client
import time
from pathlib import Path

from benchmarks.measure.old import SETTLE_SECONDS
from benchmarks.measure.peers import PeerMissing, old_framework
from benchmarks.measure.place import PEERS, WORK
from benchmarks.measure.product import COPY, headwater
from benchmarks.measure.report import Result, Row, Target, percentile
from benchmarks.measure.server import Server

NAME = "old"
TITLE = "An awaited emit until the event step begins, one at a time, on the old framework too"
VERSION = "motia 0.8.2"
STEPS = [
    PEERS / "motia" / "steps" / name
    for name in ("emit_one_step.py", "begun_step.py", "emit_one.step.ts", "begun.step.ts")
]
"""The files that both servers run."""
PATHS = {"Python steps": "/emit-py", "TypeScript steps": "/emit-ts"}
WARM_UP = 3
PATIENCE = 60.0
"""Seconds until one event has begun, at most."""


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    ours, theirs = (200, 8) if quick else (1000, 30)
    with headwater(also=STEPS) as server:
        here = {name: _times(server, path, COPY / "begun.txt", ours) for name, path in PATHS.items()}
    rows = [_row(f"Headwater, {name}", here[name]) for name in PATHS]
    notes = [
        "times in ms, taken by the steps themselves; SQLite with synchronous=FULL here, nothing is kept there"
    ]
    targets: list[Target] = []
    try:
        with old_framework() as server:
            time.sleep(SETTLE_SECONDS)
            notes_of_steps = WORK / "motia" / "begun.txt"
            there = {name: _times(server, path, notes_of_steps, theirs) for name, path in PATHS.items()}
    except PeerMissing as missing:
        notes.append(f"without the old framework: {missing}")
    else:
        rows += [_row(f"{VERSION}, {name}", there[name]) for name in PATHS]
        targets = [
            Target(
                f"times faster than the same {name} on {VERSION}, p50",
                percentile(there[name], 0.5) / percentile(here[name], 0.5),
                "at least",
                50,
            )
            for name in PATHS
        ]
    return Result(NAME, TITLE, rows, targets, notes)


def _times(server: Server, path: str, noted: Path, count: int) -> list[float]:
    """How many ms each of so many events took to begin, after the first few. The next is emitted once the
    one before has begun."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    begun = len(_lines(noted))
    for number in range(1, WARM_UP + count + 1):
        connection.request("POST", path, "{}", {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered with {answer.status}")
        end = time.monotonic() + PATIENCE
        while len(_lines(noted)) < begun + number:
            if time.monotonic() > end:
                raise RuntimeError(f"the event of {path} has not begun within {PATIENCE:g} s")
            time.sleep(0.001)
    return [float(line) for line in _lines(noted)[begun + WARM_UP :]]


def _lines(file: Path) -> list[str]:
    """Its whole lines."""
    return file.read_text().split("\n")[:-1] if file.exists() else []


def _row(name: str, times: list[float]) -> Row:
    return {
        "steps": name,
        "events": len(times),
        "begins after p50 ms": percentile(times, 0.5),
        "p99 ms": percentile(times, 0.99),
    }
