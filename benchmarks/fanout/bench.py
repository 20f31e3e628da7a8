"""Fan-out to 1000 subscribers of one group, one change per turn of the loop: Headwater, the publish that Bun
has built in, a `ws` loop, and the floor of what Python can do."""

from __future__ import annotations

from benchmarks.measure.fan import V0_JOIN, Candidate, Load, interleaved, medians
from benchmarks.measure.peers import bun, node
from benchmarks.measure.place import PEERS, PYTHON
from benchmarks.measure.report import Result, Target, median, ratio
from benchmarks.measure.server import Server

NAME = "fanout"
TITLE = "Fan-out: 1000 subscribers of one group, one change per turn of the loop"

HEADWATER = Candidate(
    "headwater v0",
    lambda: Server("headwater", [PYTHON, "-m", "benchmarks.fanout.headwater_server"]),
    join=V0_JOIN,
)
BUN = Candidate("bun publish", lambda: Server("bun", bun("bun_publish.js")))
FLOOR = Candidate("uvloop floor", lambda: Server("floor", [PYTHON, PEERS / "uvloop_floor.py"]))
WS = Candidate("node ws", lambda: Server("ws", node("ws_broadcast.js")))


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    load = Load(subscribers=1000, changes=300 if quick else 1000)
    rounds = interleaved([HEADWATER, BUN, FLOOR, WS], load, 3 if quick else 7)
    rows = medians(rounds)
    for row in rows:
        row["CPU of bun"] = ratio(rounds, str(row["candidate"]), BUN.name, "CPU us")
        row["CPU of ws"] = ratio(rounds, str(row["candidate"]), WS.name, "CPU us")
    ours = HEADWATER.name
    return Result(
        NAME,
        TITLE,
        rows,
        [
            Target("CPU per delivery, of Bun's", ratio(rounds, ours, BUN.name, "CPU us"), "at most", 1.25),
            Target("CPU per delivery, of ws's", ratio(rounds, ours, WS.name, "CPU us"), "at most", 0.7),
            Target(
                "user us per delivery", median([each[ours] for each in rounds], "user us"), "at most", 1.5
            ),
        ],
        [
            f"{len(rounds)} interleaved rounds of {load.changes} changes; medians; microseconds per delivery",
            "the ratios are medians of those within each round",
        ],
    )
