"""The kind of run `condition`: a step's file is asked whether it wants a reaction. No step type has it."""

from __future__ import annotations

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import EventStep
from headwater.steps.project.triggers.kind import RunKind


def _frame(task: Task, _step: EventStep, reaction: bytes) -> Message:
    return protocol.invoke(task, "condition", {}, (reaction,))


CONDITION: RunKind[EventStep, bytes, bool] = RunKind(
    name="condition",
    frame=_frame,
    answer=lambda _settings, result: result.header.get("wanted") is True,
    seconds=lambda settings, _step: settings.workers.access_timeout,
    waits=True,
    told=lambda failure: f"The condition failed, so the step does not run: {failure.reason}",
)
