"""Steps of type `event`: the topics they subscribe to, their input, how their queue behaves, and how one
runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from headwater.config import Settings
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import EventStep
from headwater.steps.project.shape import (
    OBJECT,
    SCHEMA,
    TEXTS,
    TOPICS,
    Fault,
    Key,
    check,
    is_object,
    required,
    schema_fault,
    topics,
)
from headwater.steps.project.triggers.base import COMMON, Entry, Trigger, shared
from headwater.steps.project.triggers.kind import Attempt, RunKind


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


_NUMBER = Key("a number of at least 0", _is_number)
_INFRASTRUCTURE = {
    "handler": {"ram": _NUMBER, "cpu": _NUMBER, "timeout": _NUMBER},
    "queue": {
        "type": Key('"fifo" or "standard"', lambda value: value in ("fifo", "standard")),
        "maxRetries": _NUMBER,
        "visibilityTimeout": _NUMBER,
        "delaySeconds": _NUMBER,
        "concurrency": _NUMBER,
    },
}


def _faults(config: Mapping[str, Any]) -> list[Fault]:
    fault = schema_fault("input", config.get("input"))
    return ([fault] if fault else []) + _infrastructure_faults(config.get("infrastructure"))


def _infrastructure_faults(infrastructure: Any) -> list[Fault]:
    if not is_object(infrastructure):
        return []
    given = cast("dict[str, Any]", infrastructure)
    sections = dict.fromkeys(_INFRASTRUCTURE, OBJECT)
    faults = check(given, sections, of="infrastructure", elsewhere={}, within="infrastructure.")
    for name, keys in _INFRASTRUCTURE.items():
        section = given.get(name)
        if is_object(section):
            place = f"infrastructure.{name}"
            entries = cast("dict[str, Any]", section)
            faults += check(entries, keys, of=place, elsewhere={}, within=f"{place}.")
    return faults


def _declare(entry: Entry) -> EventStep:
    return EventStep(
        **shared(entry),
        subscribes=topics(entry.config["subscribes"]),
        input_schema=entry.config.get("input") or None,
        infrastructure=entry.config.get("infrastructure") or {},
        conditional=entry.conditional,
    )


TRIGGER = Trigger(
    type="event",
    keys={
        **COMMON,
        "subscribes": required(TEXTS),
        "emits": required(TOPICS),
        "input": SCHEMA,
        "infrastructure": OBJECT,
        "virtualEmits": TOPICS,
        "virtualSubscribes": TOPICS,
        "includeFiles": TEXTS,
    },
    declare=_declare,
    faults=_faults,
)


# --- running ---


def _frame(task: Task, _step: EventStep, attempt: Attempt) -> Message:
    return protocol.invoke(task, "event", attempt.members(), (attempt.data,))


def _seconds(_settings: Settings, step: EventStep) -> float | None:
    """No limit but the step's own: an answer of a model takes minutes."""
    handler: Mapping[str, Any] = step.infrastructure.get("handler") or {}
    seconds = handler.get("timeout")
    return float(seconds) if seconds else None


EVENT: RunKind[EventStep, Attempt, None] = RunKind(
    name="event",
    frame=_frame,
    answer=lambda _settings, _result: None,
    seconds=_seconds,
    waits=True,
    told=None,
)
