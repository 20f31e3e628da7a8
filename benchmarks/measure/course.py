"""Round trips of several candidates in turn, each turn with a client of its own: nobody else listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.measure.disk import Disk
from benchmarks.measure.report import Row, percentile
from benchmarks.measure.roundtrip import Client, RoundTrip

WARM_UP = 300
TURN_WARM_UP = 20


@dataclass
class Course:
    """One candidate: how to open its client, and the round trips of each turn."""

    name: str
    open: Callable[[], Client | Disk]
    turns: list[list[RoundTrip]] = field(default_factory=list[list[RoundTrip]])

    def turn(self, count: int, warm_up: int = TURN_WARM_UP) -> None:
        """Make so many round trips after the first few, which do not count."""
        client = self.open()
        for _ in range(warm_up):
            client.round_trip()
        self.turns.append([client.round_trip() for _ in range(count)])
        client.close()

    @property
    def trips(self) -> list[RoundTrip]:
        """The round trips of all turns."""
        return [trip for turn in self.turns for trip in turn]

    def p50s(self) -> list[float]:
        """Each turn's median of what it waits for last: the frame, or the answer where nobody listens."""
        return [percentile([trip.frame or trip.answer for trip in turn], 0.5) for turn in self.turns]

    def ratio(self, other: Course) -> float:
        """The median of the ratios to another one's medians, turn by turn."""
        return percentile(
            [ours / theirs for ours, theirs in zip(self.p50s(), other.p50s(), strict=True)], 0.5
        )

    def row(self) -> Row:
        """Its row in a table."""
        row: Row = {"server": self.name, "requests": len(self.trips)}
        for what in ("answer", "frame"):
            values = [getattr(trip, what) for trip in self.trips]
            if any(values):
                row[f"{what} p50 ms"] = percentile(values, 0.5) * 1000
                row[f"{what} p99 ms"] = percentile(values, 0.99) * 1000
        return row


def in_turns(courses: Sequence[Course], rounds: int, count: int) -> None:
    """Warm all up, then let each have its turn in each round, every other round in reverse."""
    for course in courses:
        course.turn(0, WARM_UP)
        course.turns.clear()
    for number in range(rounds):
        for course in courses if number % 2 == 0 else reversed(courses):
            course.turn(count)
