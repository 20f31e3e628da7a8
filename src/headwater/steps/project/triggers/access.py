"""The kind of run `access`: a stream's file is asked who may follow it. No step type declares it."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import StreamDeclaration
from headwater.steps.project.triggers.kind import RunKind


class AccessQuestion(NamedTuple):
    """Who asks to follow what: `item` None is the whole group, `auth` the context of who asks as JSON text,
    None for nobody."""

    group: str
    item: str | None
    auth: bytes | None


def _frame(task: Task, stream: StreamDeclaration, asked: AccessQuestion) -> Message:
    auth = None if asked.auth is None else orjson.loads(asked.auth)
    members = {"stream": stream.name, "group": asked.group, "item": asked.item, "auth": auth}
    return protocol.invoke(task, "access", members)


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
