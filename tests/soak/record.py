"""What the attempts of a soak of work said of themselves, and whether it may be. Pure.

A line of the record is one attempt's, named by its token, at the event of a label in a step. Nothing an
attempt says may come after a later attempt at the same has begun; in an ordered group nothing may come after
the next event has begun.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Key = tuple[str, str]
"""A step and a label: one job."""


@dataclass(frozen=True)
class Asked:
    """An event that was accepted. `lane` are those of its group before it, in order; `not_before` wall
    seconds."""

    steps: tuple[str, ...]
    lane: str | None = None
    not_before: float = 0.0


class Record:
    """The lines of a file, by job."""

    def __init__(self, file: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        text = file.read_bytes() if file.exists() else b""
        self.lines = [json.loads(line) for line in text.splitlines()]
        self.by_job: dict[Key, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for number, line in enumerate(self.lines):
            self.by_job[line["step"], line["label"]].append((number, line))

    def judge(self, asked: dict[str, Asked], dead: set[Key], counts: Counter[str]) -> list[str]:
        """What may not be. `asked` in the order in which they were accepted, by label."""
        faults: list[str] = []
        expected = {(step, label): one for label, one in asked.items() for step in one.steps}
        chained = [
            ("Next", label) for step, label in self.by_job if step == "Async" and self._well(step, label)
        ]
        for key in [*expected, *chained]:
            faults += self._ended(key, dead, counts)
        for key, one in expected.items():
            begun = self.by_job.get(key)
            if begun and begun[0][1]["at"] < one.not_before:
                faults.append(f"{key} began before its time")
        for key, lines in self.by_job.items():
            faults += _alone(key, lines, counts)
            faults += _kept(key, lines)
        return faults + self._in_order(expected)

    def _well(self, step: str, label: str) -> bool:
        return any(line["what"] == "end" for _, line in self.by_job[step, label])

    def _ended(self, key: Key, dead: set[Key], counts: Counter[str]) -> list[str]:
        if key in self.by_job and self._well(*key):
            counts["jobs done"] += 1
        elif key in dead:
            counts["jobs dead"] += 1
        else:
            return [f"{key} is neither done nor dead"]
        return []

    def _in_order(self, expected: dict[Key, Asked]) -> list[str]:
        """Each event of a group ends before the next begins."""
        faults: list[str] = []
        last: dict[tuple[str, str], Key] = {}
        for key, one in expected.items():
            if one.lane is None or key not in self.by_job:
                continue
            before = last.get((key[0], one.lane))
            if before is not None and self.by_job[before][-1][0] > self.by_job[key][0][0]:
                faults.append(f"{key} began before {before} had ended")
            last[key[0], one.lane] = key
        return faults


def _alone(key: Key, lines: list[tuple[int, dict[str, Any]]], counts: Counter[str]) -> list[str]:
    """No attempt speaks after the next one has begun."""
    tokens = list(dict.fromkeys(line["token"] for _, line in lines))
    counts["attempts"] += len(tokens)
    order = [tokens.index(line["token"]) for _, line in lines]
    return [f"{key} ran twice at the same time"] if order != sorted(order) else []


def _kept(key: Key, lines: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """What was kept is not done again."""
    said = [line["what"] for _, line in lines]
    if "kept" in said and "step" in said[said.index("kept") :]:
        return [f"{key} did again what its run had kept"]
    return []
