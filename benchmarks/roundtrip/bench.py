"""POST, handler in a worker, durable set, frame at a subscriber, one at a time; beside a bare POST of JSON
with the same HTTP parts, and the same path on the old framework."""

from __future__ import annotations

from benchmarks.measure.course import Course, in_turns
from benchmarks.measure.dialect import V0, V1
from benchmarks.measure.disk import Disk
from benchmarks.measure.old import old_courses
from benchmarks.measure.peers import PeerMissing, starlette
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Target
from benchmarks.measure.roundtrip import Client

NAME = "roundtrip"
TITLE = "Round trip: POST, handler in a worker, durable set, frame at a subscriber, one at a time"
OLD = {"motia 0.8.2, Python step": "/say", "motia 0.8.2, TypeScript step": "/say-ts"}


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds, count = (5, 200) if quick else (15, 300)
    with headwater() as product, starlette() as bare:
        ours = [
            Course(f"headwater {dialect.name}", lambda dialect=dialect: Client(product.port, "/say", dialect))
            for dialect in (V1, V0)
        ]
        plain = Course("bare starlette", lambda: Client(bare.port, "/say"))
        courses = [*ours, plain, Course("the disk alone: one fdatasync", Disk)]
        in_turns(courses, rounds, count)
    targets = [
        Target(f"p50 to the frame, {one.name}, of a bare POST's", one.ratio(plain), "at most", 5)
        for one in ours
    ]
    notes = [
        f"{rounds * count} requests each, in turns of {count}; SQLite with synchronous=FULL",
        "a ratio is the median of those within each round",
    ]
    try:
        courses += old_courses(OLD, 5 if quick else 20)
    except PeerMissing as missing:
        notes.append(f"without the old framework: {missing}")
    return Result(NAME, TITLE, [course.row() for course in courses], targets, notes)
