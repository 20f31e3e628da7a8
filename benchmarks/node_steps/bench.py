"""POST, TypeScript handler, durable set, frame at a subscriber, one at a time; in turns with the Python step
of the same server, and beside the very same file on the old framework."""

from __future__ import annotations

import time

from benchmarks.measure.fan import V0_JOIN
from benchmarks.measure.peers import PeerMissing, old_framework
from benchmarks.measure.place import PEERS
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Row, Target, percentile
from benchmarks.measure.roundtrip import Client, RoundTrip

NAME = "node_steps"
TITLE = "Round trip through a TypeScript step: POST, handler in the Node worker, durable set, frame"
JOIN = V0_JOIN.replace("%d", "1")
STEP = PEERS / "motia" / "steps" / "say.step.ts"
"""The file that both servers run."""
WARM_UP = 300
TURN_WARM_UP = 20
OLD_WARM_UP = 2
OLD_SETTLE_SECONDS = 2.0


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds, batch = (5, 200) if quick else (15, 300)
    ours, ratio = _ours(rounds, batch)
    notes = [f"{rounds * batch} requests each, in turns of {batch}; SQLite with synchronous=FULL"]
    targets = [Target("p50 to the frame, of the Python step's", ratio, "at most", 1.5)]
    try:
        old = _old(5 if quick else 20)
    except PeerMissing as missing:
        notes.append(f"without the old framework: {missing}")
        return Result(NAME, TITLE, ours, targets, notes)
    faster = float(old["frame p50 ms"]) / float(ours[0]["frame p50 ms"])
    targets.append(
        Target("times faster than the same file on the old framework, p50", faster, "at least", 50)
    )
    return Result(NAME, TITLE, [*ours, old], targets, notes)


def _ours(rounds: int, batch: int) -> tuple[list[Row], float]:
    """The rows of both steps, and the median of the rounds' ratios of p50."""
    trips: dict[str, list[list[RoundTrip]]] = {"/say-ts": [], "/say": []}
    with headwater(also=[STEP]) as server:
        for path in trips:
            _turn(server.port, path, WARM_UP)
        for number in range(rounds):
            for path in trips if number % 2 else reversed(trips):
                trips[path].append(_turn(server.port, path, batch))
    ratios = [_p50(ts) / _p50(py) for ts, py in zip(trips["/say-ts"], trips["/say"], strict=True)]
    names = {"/say-ts": "TypeScript step", "/say": "Python step"}
    rows = [_row(names[path], [trip for group in groups for trip in group]) for path, groups in trips.items()]
    return rows, percentile(ratios, 0.5)


def _old(count: int) -> Row:
    with old_framework() as server:
        time.sleep(OLD_SETTLE_SECONDS)
        client = Client(server.port, "/say-ts", JOIN)
        _go(client, OLD_WARM_UP)
        row = _row("motia 0.8.2, the same file", _go(client, count))
        client.close()
    return row


def _turn(port: int, path: str, count: int) -> list[RoundTrip]:
    """Requests of a client of its own: both steps write one group, and a client hears of nothing else."""
    client = Client(port, path, JOIN)
    _go(client, TURN_WARM_UP)
    trips = _go(client, count)
    client.close()
    return trips


def _go(client: Client, count: int) -> list[RoundTrip]:
    return [client.round_trip() for _ in range(count)]


def _p50(trips: list[RoundTrip]) -> float:
    return percentile([trip.frame for trip in trips], 0.5)


def _row(name: str, trips: list[RoundTrip]) -> Row:
    row: Row = {"server": name, "requests": len(trips)}
    for what, values in (
        ("answer", [trip.answer for trip in trips]),
        ("frame", [trip.frame for trip in trips]),
    ):
        row[f"{what} p50 ms"] = percentile(values, 0.5) * 1000
        row[f"{what} p99 ms"] = percentile(values, 0.99) * 1000
    return row
