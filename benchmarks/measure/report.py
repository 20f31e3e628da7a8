"""Results and how they are shown: rows, targets, a table, a JSON file. Judges figures; makes none."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.measure.machine import Machine
from benchmarks.measure.place import RESULTS

Row = dict[str, str | int | float]


@dataclass(frozen=True)
class Target:
    """A figure and where it should be."""

    what: str
    measured: float
    side: Literal["at most", "at least"]
    limit: float

    @property
    def met(self) -> bool:
        return self.measured <= self.limit if self.side == "at most" else self.measured >= self.limit


@dataclass
class Result:
    """What one benchmark found. `notes` say what a reader must know to read the rows."""

    name: str
    title: str
    rows: list[Row]
    targets: list[Target] = field(default_factory=list[Target])
    notes: list[str] = field(default_factory=list[str])


def median(rows: Iterable[Row], key: str) -> float:
    """The median of one column."""
    return statistics.median(float(row[key]) for row in rows)


def ratio(rounds: Sequence[Mapping[str, Row]], one: str, other: str, key: str) -> float:
    """How `one` compares with `other`: the median of the ratios within each round, so that a slow moment of
    the machine, which meets both, cancels out."""
    return statistics.median(float(each[one][key]) / float(each[other][key]) for each in rounds)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def show(result: Result) -> None:
    """Print a result as tables."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    columns = list(dict.fromkeys(key for row in result.rows for key in row))
    table = Table(*columns, title=result.title, box=box.SIMPLE_HEAD, title_justify="left")
    for row in result.rows:
        table.add_row(*(_text(row.get(column, "")) for column in columns))
    console.print(table)
    for target in result.targets:
        verdict = "[green]met[/]" if target.met else "[red]MISSED[/]"
        console.print(
            f"  {verdict}  {target.what}: {_text(target.measured)} ({target.side} {_text(target.limit)})"
        )
    for note in result.notes:
        console.print(f"  [dim]{note}[/]")
    console.print()


def write(results: Sequence[Result], machine: Machine, *, quick: bool) -> Path:
    """Keep the results of a run as JSON and answer the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    content = {
        "machine": asdict(machine),
        "quick": quick,
        "results": [_as_json(result) for result in results],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def _as_json(result: Result) -> dict[str, Any]:
    targets = [{**asdict(target), "met": target.met} for target in result.targets]
    return {**asdict(result), "targets": targets}


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
