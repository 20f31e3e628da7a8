"""Steps of type `noop`: something outside the project, drawn for people and never run."""

from __future__ import annotations

from headwater.steps.project.declare import NoopStep
from headwater.steps.project.shape import TOPICS, required
from headwater.steps.project.triggers.base import COMMON, Entry, Trigger, shared


def _declare(entry: Entry) -> NoopStep:
    return NoopStep(**shared(entry))


TRIGGER = Trigger(
    type="noop",
    keys={**COMMON, "virtualEmits": required(TOPICS), "virtualSubscribes": required(TOPICS)},
    declare=_declare,
)
