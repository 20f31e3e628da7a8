"""The kind of run `access`: a stream's file is asked who may follow it. No step type declares it."""

from __future__ import annotations

from typing import Any, NamedTuple

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import StreamDeclaration
from headwater.steps.project.triggers.kind import RunKind


class AccessQuestion(NamedTuple):
    """Who asks to follow what: `item` None is the whole group, `auth` any JSON value."""

    group: str
    item: str | None
    auth: Any


def _frame(task: Task, stream: StreamDeclaration, asked: AccessQuestion) -> Message:
    return protocol.invoke(task, "access", {"stream": stream.name, **asked._asdict()})


ACCESS: RunKind[StreamDeclaration, AccessQuestion, bool] = RunKind(
    name="access",
    frame=_frame,
    answer=lambda _settings, result: result.header.get("allowed") is True,
    seconds=lambda settings, _stream: settings.workers.access_timeout,
    waits=True,
    told=lambda failure: f"The access function failed, so the answer is no: {failure.reason}",
    # Anything but a clear yes in time is a no.
    instead=False,
)
