"""Bursts: ten changes in each turn of the loop to 1000 subscribers of protocol v1, beside Bun's publish. What
is counted are changes at subscribers, however many frames or writes they travel in."""

from __future__ import annotations

from benchmarks.fanout.bench import BUN, HEADWATER, HEADWATER_V0
from benchmarks.measure.fan import Load, interleaved, medians
from benchmarks.measure.report import Result, Target, ratio

NAME = "bursts"
TITLE = "Bursts: 1000 subscribers of one group, ten changes per turn of the loop"


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    load = Load(subscribers=1000, changes=2_000 if quick else 10_000, burst=10)
    rounds = interleaved([HEADWATER, HEADWATER_V0, BUN], load, 3 if quick else 7)
    rows = medians(rounds)
    for row in rows:
        row["rate of bun"] = ratio(rounds, str(row["candidate"]), BUN.name, "deliveries/s")
    return Result(
        NAME,
        TITLE,
        rows,
        [
            Target(
                "changes/s delivered by v1, of Bun's",
                ratio(rounds, HEADWATER.name, BUN.name, "deliveries/s"),
                "at least",
                0.9,
            )
        ],
        [f"{len(rounds)} interleaved rounds of {load.changes} changes; medians"],
    )
