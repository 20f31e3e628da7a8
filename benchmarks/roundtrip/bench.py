"""POST, handler in a worker, durable set, frame at a subscriber, one at a time; beside a bare POST of JSON
with the same HTTP parts, and the same path on the old framework."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.measure.disk import Disk
from benchmarks.measure.fan import V0_JOIN
from benchmarks.measure.peers import PeerMissing, old_framework, starlette
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Row, Target, percentile
from benchmarks.measure.roundtrip import Client, RoundTrip

NAME = "roundtrip"
TITLE = "Round trip: POST, handler in a worker, durable set, frame at a subscriber, one at a time"
JOIN = V0_JOIN.replace("%d", "1")
WARM_UP = 300
OLD_WARM_UP = 2
OLD_SETTLE_SECONDS = 2.0


@dataclass
class Course:
    """One server's requests: `batch` of them at a time, in turn with the others' batches."""

    name: str
    client: Client | Disk
    batch: int
    trips: list[RoundTrip]

    def go(self) -> None:
        self.trips += [self.client.round_trip() for _ in range(self.batch)]


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds, batch = (5, 200) if quick else (15, 300)
    rows, notes = _product(rounds, batch)
    try:
        rows += _old(5 if quick else 20)
    except PeerMissing as missing:
        notes.append(f"without the old framework: {missing}")
    frame, bare = float(rows[0]["frame p50 ms"]), float(rows[1]["answer p50 ms"])
    for row in rows:
        row["of bare"] = float(row.get("frame p50 ms", row["answer p50 ms"])) / bare
    return Result(
        NAME,
        TITLE,
        list(rows),
        [Target("p50 to the frame, of a bare POST's", frame / bare, "at most", 5)],
        notes,
    )


def _product(rounds: int, batch: int) -> tuple[list[Row], list[str]]:
    with headwater() as product, starlette() as bare:
        courses = [
            Course("headwater", Client(product.port, "/say", JOIN), batch, []),
            Course("bare starlette", Client(bare.port, "/say"), batch, []),
            Course("the disk alone: one fdatasync", Disk(), batch, []),
        ]
        for course in courses:
            for _ in range(WARM_UP):
                course.client.round_trip()
        for _ in range(rounds):
            for course in courses:
                course.go()
        for course in courses:
            course.client.close()
    note = f"{rounds * batch} requests each, in turns of {batch}; SQLite with synchronous=FULL"
    return [_row(course.name, course.trips) for course in courses], [note]


def _old(count: int) -> list[Row]:
    rows: list[Row] = []
    with old_framework() as server:
        time.sleep(OLD_SETTLE_SECONDS)
        for name, path in (("motia 0.8.2, Python step", "/say"), ("motia 0.8.2, TypeScript step", "/say-ts")):
            client = Client(server.port, path, JOIN)
            for _ in range(OLD_WARM_UP):
                client.round_trip()
            rows.append(_row(name, [client.round_trip() for _ in range(count)]))
            client.close()
    return rows


def _row(name: str, trips: list[RoundTrip]) -> Row:
    row: Row = {"server": name, "requests": len(trips)}
    for what, values in (
        ("answer", [trip.answer for trip in trips]),
        ("frame", [trip.frame for trip in trips]),
    ):
        if any(values):
            row[f"{what} p50 ms"] = percentile(values, 0.5) * 1000
            row[f"{what} p99 ms"] = percentile(values, 0.99) * 1000
    return row
