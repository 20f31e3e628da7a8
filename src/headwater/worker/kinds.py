"""The kinds of invocations, one entry each: which functions run, with which arguments, and what becomes of
what they return. Nothing else here knows a kind; the server has its side of each in `steps/project/triggers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from headwater.protocol.workers.messages import Message, Section
from headwater.worker.context import Context
from headwater.worker.project.auth_file import AuthRequest, context_text
from headwater.worker.requests import request_of
from headwater.worker.responses import answer_of
from headwater.worker.values import from_json

HANDLER = "handler"
"""A step's middleware in order, its handler last."""

CONDITION = "condition"
"""An event step's condition, asked of each write that it reacts to."""

ACCESS = "access"
"""A stream's access function."""

RULES: Mapping[str, str] = {
    "read": ACCESS,
    "write": "can_write",
    "send": "can_send",
    "delete": "can_delete",
    "cancel": "can_cancel",
}
"""A stream's functions that say who may do what, by verb."""

AUTHENTICATE = "authenticate"
"""The function of the project that says who asks."""

Result = tuple[Mapping[str, Any], tuple[Section, ...]]
"""The members and sections of a `result` that is ok."""


class Kind(NamedTuple):
    """One kind. `functions` is the name under which a file declares them; `arguments` makes what each of them
    gets from the server's message and, where it wants one, a `ctx`; `names` is what people call those;
    `result` raises HandlerFailed where what was returned means nothing."""

    functions: str
    arguments: Callable[[Message, Callable[[], Context]], tuple[Any, ...]]
    result: Callable[[Any], Result]
    names: tuple[str, ...]


def _request(message: Message, context: Callable[[], Context]) -> tuple[Any, ...]:
    return request_of(message), context()


def _response(returned: Any) -> Result:
    answer = answer_of(returned)
    return answer.members(), (answer.body,)


def _subscription(message: Message, _context: Callable[[], Context]) -> tuple[Any, ...]:
    header = message.header
    return {"groupId": header["group"], "id": header.get("item")}, header.get("auth")


def _change(message: Message, _context: Callable[[], Context]) -> tuple[Any, ...]:
    return from_json(bytes(message.sections[0])), message.header.get("auth")


def _allowed(returned: Any) -> Result:
    """Exactly true is a yes; what is neither true nor false is named, for its author meant something."""
    if isinstance(returned, bool):
        return {"allowed": returned}, ()
    kind = cast("type[Any]", type(returned))
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {"allowed": False, "returned": "nothing" if returned is None else f"a value of type {name}"}, ()


def _asker(message: Message, _context: Callable[[], Context]) -> tuple[Any, ...]:
    return (AuthRequest(message.header["request"]),)


def _known(returned: Any) -> Result:
    text = context_text(returned)
    return {"known": text is not None}, () if text is None else (text,)


def _input(message: Message, context: Callable[[], Context]) -> tuple[Any, ...]:
    return from_json(bytes(message.sections[0])), context()


def _context(_message: Message, context: Callable[[], Context]) -> tuple[Any, ...]:
    return (context(),)


def _wanted(returned: Any) -> Result:
    return {"wanted": returned is True}, ()


def _nothing(_returned: Any) -> Result:
    """What an event or cron step returns means nothing."""
    return {}, ()


KINDS: Mapping[str, Kind] = {
    "api": Kind(HANDLER, _request, _response, ("req", "ctx")),
    "access": Kind(ACCESS, _subscription, _allowed, ("subscription", "auth")),
    "can_write": Kind(RULES["write"], _change, _allowed, ("change", "auth")),
    "can_send": Kind(RULES["send"], _change, _allowed, ("change", "auth")),
    "can_delete": Kind(RULES["delete"], _change, _allowed, ("change", "auth")),
    "can_cancel": Kind(RULES["cancel"], _subscription, _allowed, ("subscription", "auth")),
    "authenticate": Kind(AUTHENTICATE, _asker, _known, ("request",)),
    "condition": Kind(CONDITION, _input, _wanted, ("input", "ctx")),
    "event": Kind(HANDLER, _input, _nothing, ("input", "ctx")),
    "cron": Kind(HANDLER, _context, _nothing, ("ctx",)),
}


def needs_handler(kind: object) -> bool:
    """Whether a step of that type must have a handler. A type that is not here is the server's to refuse."""
    known = KINDS.get(kind) if isinstance(kind, str) else None
    return known is not None and known.functions == HANDLER
