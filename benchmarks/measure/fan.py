"""One measured fan-out: changes published by a server, counted at its subscribers. Knows no target."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.measure.dialect import Dialect
from benchmarks.measure.report import Row, median
from benchmarks.measure.server import Server
from benchmarks.measure.subscribers import ClientFailed, Subscribers

SETTLE_SECONDS = 0.3
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Candidate:
    """A server that can fan out. `dialect` is what its subscribers speak; without one they say nothing.
    `order` is added to the order that starts the run."""

    name: str
    start: Callable[[], Server]
    dialect: Dialect | None = None
    order: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def client_options(self) -> dict[str, object]:
        return self.dialect.client_options if self.dialect else {}


@dataclass(frozen=True)
class Load:
    """`changes` published to `subscribers` of one group, `burst` of them in each turn of the loop."""

    subscribers: int
    changes: int
    burst: int = 1


def fan(candidate: Candidate, load: Load) -> Row:
    """Run one candidate once.

    :raises ClientFailed: a subscriber was lost or did not get every change.
    """
    with (
        candidate.start() as server,
        Subscribers(
            server.port,
            load.subscribers,
            expect=load.changes,
            timeout=TIMEOUT_SECONDS,
            **candidate.client_options,
        ) as subscribers,
    ):
        time.sleep(SETTLE_SECONDS)
        before, began = server.cpu(), time.monotonic_ns()
        server.order(changes=load.changes, burst=load.burst, **candidate.order)
        seen = subscribers.done()
        cpu = server.cpu().since(before)
    deliveries = load.subscribers * load.changes
    if seen["least"] != load.changes or seen["most"] != load.changes:
        raise ClientFailed(
            f"{candidate.name}: subscribers got {seen['least']} to {seen['most']} of {load.changes} changes"
        )
    seconds = (seen["last_ns"] - began) / 1e9
    return {
        "candidate": candidate.name,
        "deliveries/s": deliveries / seconds,
        "CPU us": cpu.total * 1e6 / deliveries,
        "user us": cpu.user * 1e6 / deliveries,
        "system us": cpu.system * 1e6 / deliveries,
        "bytes": seen["bytes"] / deliveries,
    }


def interleaved(candidates: Sequence[Candidate], load: Load, rounds: int) -> list[dict[str, Row]]:
    """Run all candidates in turn, `rounds` times, every other time in reverse: each round's rows by name."""
    answer: list[dict[str, Row]] = []
    for number in range(rounds):
        order = candidates if number % 2 == 0 else list(reversed(candidates))
        answer.append({candidate.name: fan(candidate, load) for candidate in order})
    return answer


def medians(rounds: Sequence[Mapping[str, Row]]) -> list[Row]:
    """One row for each candidate: the median of every figure, in the order of the candidates."""
    names = sorted(rounds[0], key=lambda name: median([each[name] for each in rounds], "CPU us"))
    return [_median_row([each[name] for each in rounds]) for name in names]


def _median_row(rows: Sequence[Row]) -> Row:
    first = rows[0]
    return {key: value if isinstance(value, str) else median(rows, key) for key, value in first.items()}
