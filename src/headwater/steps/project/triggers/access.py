"""The kinds of run by which a stream's file is asked who may do what with it, one for each verb. No step type
declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import orjson

from headwater.config import Settings
from headwater.errors import HandlerFailed
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import StreamDeclaration
from headwater.steps.project.triggers.kind import Failure, RunKind
from headwater.streams.catalog import VERBS, Verb


class AccessQuestion(NamedTuple):
    """Who asks to do something with what: `item` None is the whole group, `auth` the context of who asks as
    JSON text, None for nobody. `change` is the JSON text of what would be written or sent, as the function
    is given it."""

    group: str
    item: str | None
    auth: bytes | None
    change: bytes | None = None


def function_of(verb: Verb) -> str:
    """What the function is called in Python; in TypeScript each underline goes and capitalises."""
    return "can_access" if verb == "read" else f"can_{verb}"


def _kind(verb: Verb) -> RunKind[StreamDeclaration, AccessQuestion, bool]:
    function = function_of(verb)
    name = "access" if verb == "read" else function

    def frame(task: Task, stream: StreamDeclaration, asked: AccessQuestion) -> Message:
        auth = None if asked.auth is None else orjson.loads(asked.auth)
        members = {"stream": stream.name, "group": asked.group, "item": asked.item, "auth": auth}
        sections = () if asked.change is None else (asked.change,)
        return protocol.invoke(task, name, members, sections)

    def told(failure: Failure) -> str:
        return f"{function} failed, so the answer is no: {failure.reason}"

    return RunKind(
        name=name,
        frame=frame,
        answer=_answer(function),
        seconds=lambda settings, _stream: settings.workers.access_timeout,
        waits=True,
        often=True,
        told=told,
        # Anything but a clear yes in time is a no.
        instead=False,
    )


def _answer(function: str) -> Callable[[Settings, Message], bool]:
    def answer(_settings: Settings, result: Message) -> bool:
        if result.header.get("allowed") is True:
            return True
        returned = result.header.get("returned")
        if isinstance(returned, str) and returned:
            said = f"{function} gave {returned}, which is neither true nor false"
            raise HandlerFailed(said, hint="Return True or False")
        return False

    return answer


ACCESS: Mapping[Verb, RunKind[StreamDeclaration, AccessQuestion, bool]] = {
    verb: _kind(verb) for verb in VERBS
}
