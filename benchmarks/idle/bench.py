"""10,000 idle subscribers of one group: the server's memory for each, and what it takes to let them in."""

from __future__ import annotations

import time

from benchmarks.fanout.bench import BUN, HEADWATER, HEADWATER_V0, WS
from benchmarks.measure.fan import Candidate
from benchmarks.measure.place import SOURCES, sockets
from benchmarks.measure.report import Result, Row, Target
from benchmarks.measure.subscribers import Subscribers

NAME = "idle"
TITLE = "Idle subscribers of one group"
COUNT = 10_000
WARM_UP = 200
"""Connections opened and closed first, so that code and tables loaded by the first ones are not counted."""
SETTLE_SECONDS = 2.0


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    count = sockets(COUNT)
    ours = [HEADWATER, HEADWATER_V0]
    candidates = ours if quick else [*ours, BUN, WS]
    rows = [measure(candidate, count) for candidate in candidates]
    notes = ["growth of the server's resident memory; what the kernel keeps for each socket is not in it"]
    if count < COUNT:
        notes.append(f"the limit of open files allows {count} only")
    targets = [
        Target(f"KB for each subscriber, {candidate.name}", float(row["KB each"]), "at most", 8)
        for candidate, row in zip(ours, rows, strict=False)
    ]
    return Result(NAME, TITLE, rows, targets, notes)


def measure(candidate: Candidate, count: int) -> Row:
    """Let `count` subscribers in, once."""
    options = {"sources": SOURCES, **candidate.client_options}
    with candidate.start() as server:
        Subscribers(server.port, WARM_UP, **options).close()
        time.sleep(SETTLE_SECONDS)
        before, cpu = server.memory(), server.cpu()
        with Subscribers(server.port, count, **options) as subscribers:
            used = server.cpu().since(cpu)
            time.sleep(SETTLE_SECONDS)
            grown = server.memory() - before
            seconds = float(subscribers.opened["seconds"])
    return {
        "candidate": candidate.name,
        "subscribers": count,
        "KB each": grown / 1024 / count,
        "RSS before MB": before / 2**20,
        "seconds to join": seconds,
        "CPU us each": used.total * 1e6 / count,
    }
