"""Fan-out to 1000 subscribers of one group, one change per turn of the loop: Headwater, the publish that Bun
has built in, a `ws` loop, and the floor of what Python can do.

Headwater spreads a flush to a large room over several turns and joins what comes meanwhile. What one write
costs is told beside it, with each change alone: the next is made when everyone has been written to, so that
nothing can be joined.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.measure.dialect import V0, V1
from benchmarks.measure.fan import Candidate, Load, interleaved, medians
from benchmarks.measure.peers import bun, node
from benchmarks.measure.place import PEERS, PYTHON
from benchmarks.measure.report import Result, Row, Target, median, ratio
from benchmarks.measure.server import Server

NAME = "fanout"
TITLE = "Fan-out: 1000 subscribers of one group, one change per turn of the loop"


def _headwater() -> Server:
    return Server("headwater", [PYTHON, "-m", "benchmarks.fanout.headwater_server"])


HEADWATER, HEADWATER_V0 = (
    Candidate(f"headwater {dialect.name}", _headwater, dialect) for dialect in (V1, V0)
)
HEARD = Candidate(
    "headwater v1, heard",
    lambda: Server("headwater", [PYTHON, "-m", "benchmarks.fanout.headwater_server", "--heard"]),
    V1,
)
BUN = Candidate("bun publish", lambda: Server("bun", bun("bun_publish.js")))
FLOOR = Candidate("uvloop floor", lambda: Server("floor", [PYTHON, PEERS / "uvloop_floor.py"]))
ALONE = [
    replace(one, name=f"{one.name}, each alone", order={"alone": 1}) for one in (HEADWATER, HEADWATER_V0)
]
WS = Candidate("node ws", lambda: Server("ws", node("ws_broadcast.js")))


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    load = Load(subscribers=1000, changes=300 if quick else 1000)
    rounds = interleaved([HEADWATER, HEADWATER_V0, HEARD, *ALONE, BUN, FLOOR, WS], load, 3 if quick else 7)
    rows = medians(rounds)
    for row in rows:
        row["CPU of bun"] = ratio(rounds, str(row["candidate"]), BUN.name, "CPU us")
        row["CPU of ws"] = ratio(rounds, str(row["candidate"]), WS.name, "CPU us")
    return Result(
        NAME,
        TITLE,
        rows,
        [target for ours in (HEADWATER, HEADWATER_V0) for target in _targets(ours.name, rounds)],
        [
            f"{len(rounds)} interleaved rounds of {load.changes} changes; medians; microseconds per delivery",
            "the ratios are medians of those within each round",
        ],
    )


def _targets(ours: str, rounds: list[dict[str, Row]]) -> list[Target]:
    user = median([each[ours] for each in rounds], "user us")
    return [
        Target(
            f"CPU per delivery, {ours}, of Bun's", ratio(rounds, ours, BUN.name, "CPU us"), "at most", 1.25
        ),
        Target(f"CPU per delivery, {ours}, of ws's", ratio(rounds, ours, WS.name, "CPU us"), "at most", 0.7),
        Target(f"user us per delivery, {ours}", user, "at most", 1.5),
    ]
