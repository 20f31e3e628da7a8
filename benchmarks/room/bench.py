"""64 concurrent durable sets to a room of 1000 subscribers, beside a `ws` loop, one change per turn."""

from __future__ import annotations

import shutil

from benchmarks.fanout.bench import WS
from benchmarks.measure.dialect import V0, V1
from benchmarks.measure.fan import Candidate, Load, fan
from benchmarks.measure.place import PYTHON, WORK
from benchmarks.measure.report import Result, Row, Target, median, ratio
from benchmarks.measure.server import Server

NAME = "room"
TITLE = "Busy room: 64 concurrent durable sets, 1000 subscribers"
WRITERS = 64


def start() -> Server:
    """Headwater with an empty SQLite store, synchronous=FULL."""
    folder = WORK / "room"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = f"sqlite:{folder / 'data.db'}"
    return Server("headwater-room", [PYTHON, "-m", "benchmarks.fanout.headwater_server", "--store", store])


OURS = [
    Candidate(f"headwater {dialect.name}, 64 writers", start, dialect, {"writers": WRITERS})
    for dialect in (V1, V0)
]


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    ours = Load(subscribers=1000, changes=WRITERS * (50 if quick else 250))
    theirs = Load(subscribers=1000, changes=300 if quick else 1000)
    rounds: list[dict[str, Row]] = []
    for _ in range(3 if quick else 7):
        rounds.append({**{one.name: fan(one, ours) for one in OURS}, WS.name: fan(WS, theirs)})
    return Result(
        NAME,
        TITLE,
        [_row(rounds, one) for one in (*OURS, WS)],
        [
            Target(
                f"deliveries/s, {one.name}, of ws's",
                ratio(rounds, one.name, WS.name, "deliveries/s"),
                "at least",
                20,
            )
            for one in OURS
        ],
        [
            f"{len(rounds)} rounds in turn, {ours.changes} sets against {theirs.changes} broadcasts; medians",
            "a delivery is one change at one subscriber; what one commit holds leaves in one write to each",
        ],
    )


def _row(rounds: list[dict[str, Row]], candidate: Candidate) -> Row:
    rows = [each[candidate.name] for each in rounds]
    figures = ("deliveries/s", "CPU us", "user us", "system us", "bytes")
    changes = {"changes/s": median(rows, "deliveries/s") / 1000}
    return {"candidate": candidate.name, **changes, **{figure: median(rows, figure) for figure in figures}}
