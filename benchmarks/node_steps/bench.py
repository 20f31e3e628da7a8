"""POST, TypeScript handler, durable set, frame at a subscriber, one at a time; in turns with the Python step
of the same server, and beside the very same file on the old framework."""

from __future__ import annotations

from benchmarks.measure.course import Course, in_turns
from benchmarks.measure.dialect import V0
from benchmarks.measure.old import old_courses
from benchmarks.measure.peers import PeerMissing
from benchmarks.measure.place import PEERS
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Target
from benchmarks.measure.roundtrip import Client

NAME = "node_steps"
TITLE = "Round trip through a TypeScript step: POST, handler in the Node worker, durable set, frame"
STEP = PEERS / "motia" / "steps" / "say.step.ts"
"""The file that both servers run."""
OLD = {"motia 0.8.2, the same file": "/say-ts"}


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds, count = (5, 200) if quick else (15, 300)
    with headwater(also=[STEP]) as server:
        typescript = Course("TypeScript step", lambda: Client(server.port, "/say-ts", V0))
        python = Course("Python step", lambda: Client(server.port, "/say", V0))
        courses = [typescript, python]
        in_turns(courses, rounds, count)
    notes = [f"{rounds * count} requests each, in turns of {count}; SQLite with synchronous=FULL"]
    targets = [Target("p50 to the frame, of the Python step's", typescript.ratio(python), "at most", 1.5)]
    try:
        (old,) = old_courses(OLD, 5 if quick else 20)
    except PeerMissing as missing:
        notes.append(f"without the old framework: {missing}")
    else:
        courses.append(old)
        faster = float(old.row()["frame p50 ms"]) / float(typescript.row()["frame p50 ms"])
        targets.append(
            Target("times faster than the same file on the old framework, p50", faster, "at least", 50)
        )
    return Result(NAME, TITLE, [course.row() for course in courses], targets, notes)
