"""Steps of type `cron`: when they run, as a cron expression of 5 fields, or 6 with seconds first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import CronStep
from headwater.steps.project.shape import TEXTS, TOPICS, Fault, Key, is_text, required
from headwater.steps.project.triggers.base import COMMON, Entry, Trigger, shared
from headwater.steps.project.triggers.kind import Attempt, RunKind


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?P<first>\*|\?|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")


def expression_fault(expression: str) -> str:
    """What is wrong with a cron expression, in words; "" when nothing is.

    A field is `*`, a number or a name (months, days of the week), a range `a-b`, any of these with a step
    `/n`, or several joined by commas. In the two day fields `?` means `*`.
    """
    given = expression.split()
    if len(given) not in (5, 6):
        return f"it has {len(given)} fields, and needs 5, or 6 with seconds first"
    for text, place in zip(given, _FIELDS[-len(given) :], strict=True):
        for part in text.split(","):
            reason = _part_fault(part, place)
            if reason:
                return f'"{text}" is no {place.name}: {reason}'
    return ""


def _part_fault(part: str, place: _Field) -> str:
    found = _PART.fullmatch(part)
    if found is None:
        return f'"{part}" cannot be read'
    first, last, step = found["first"], found["last"], found["step"]
    if step is not None and int(step) == 0:
        return "a step must be at least 1"
    if first in "*?":
        return f'"{part}" cannot be read' if last or (first == "?" and "day" not in place.name) else ""
    numbers = [_number(text, place) for text in (first, last) if text is not None]
    outside = [text for text, number in zip((first, last), numbers, strict=False) if number is None]
    if outside:
        return f"{outside[0]} is not within {place.least} to {place.most}"
    return "" if _ascends([number or 0 for number in numbers], place) else f"{first} comes after {last}"


def _ascends(numbers: list[int], place: _Field) -> bool:
    """Whether a range goes up; a week may end on Sunday, whose number is 0 or 7."""
    return numbers == sorted(numbers) or (place.names is _DAYS and numbers[-1] == 0)


def _number(text: str, place: _Field) -> int | None:
    if text.lower()[:3] in place.names and len(text) == 3:
        return place.names.index(text.lower()) + (place.least if place.names is _MONTHS else 0)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else -1
    return number if place.least <= number <= place.most else None


def _faults(config: Mapping[str, Any]) -> list[Fault]:
    expression = config.get("cron")
    reason = expression_fault(expression) if isinstance(expression, str) else ""
    hint = 'For example "*/5 * * * *": every five minutes.'
    return [Fault("error", "cron", f'"{expression}" is no cron expression: {reason}', hint)] if reason else []


def _declare(entry: Entry) -> CronStep:
    return CronStep(**shared(entry), cron=entry.config["cron"])


TRIGGER = Trigger(
    type="cron",
    keys={
        **COMMON,
        "cron": Key("text, a cron expression", is_text, required=True),
        "emits": required(TOPICS),
        "virtualEmits": TOPICS,
        "virtualSubscribes": TOPICS,
        "includeFiles": TEXTS,
    },
    declare=_declare,
    faults=_faults,
)


# --- running ---


def _frame(task: Task, _step: CronStep, attempt: Attempt) -> Message:
    return protocol.invoke(task, "cron", attempt.members())


CRON: RunKind[CronStep, Attempt, None] = RunKind(
    name="cron",
    frame=_frame,
    answer=lambda _settings, _result: None,
    seconds=lambda _settings, _step: None,
    waits=True,
    told=None,
)
