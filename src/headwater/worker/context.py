"""`ctx`, the second argument of handlers. Owns its names; what streams do is `streams.py`'s, what state does
`state.py`'s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from headwater.protocol.workers.messages import LogLevel
from headwater.worker.calls import Calls
from headwater.worker.emit import Emit
from headwater.worker.invocation import Invocation
from headwater.worker.loglines import Send, fields_of, log_line, send_log
from headwater.worker.progress import Progress
from headwater.worker.run import Run
from headwater.worker.state import OldState, State
from headwater.worker.streams import Streams


class Logger:
    """`ctx.logger`: structured log lines that carry the trace id and the step."""

    __slots__ = ("_invocation", "_send")

    def __init__(self, send: Send, invocation: Invocation | None) -> None:
        self._send = send
        self._invocation = invocation

    def debug(self, message: Any, fields: Any = None, **more: Any) -> None:
        """Something for the developer."""
        self._log("debug", message, fields, more)

    def info(self, message: Any, fields: Any = None, **more: Any) -> None:
        """Something that happened."""
        self._log("info", message, fields, more)

    def warn(self, message: Any, fields: Any = None, **more: Any) -> None:
        """Something odd."""
        self._log("warn", message, fields, more)

    def error(self, message: Any, fields: Any = None, **more: Any) -> None:
        """Something failed."""
        self._log("error", message, fields, more)

    warning = warn

    def _log(self, level: LogLevel, message: Any, fields: Any, more: dict[str, Any]) -> None:
        send_log(self._send, log_line(level, message, fields_of(fields, more), self._invocation))


class ContextParts(NamedTuple):
    """What every `ctx` stands on. `known` answers the names of the project's streams, or None while nobody
    has told them; `app` what the project's lifespan yields."""

    calls: Calls
    send: Send
    known: Callable[[], frozenset[str] | None]
    old_state: OldState
    app: Callable[[], Any]


def _run(parts: ContextParts, invocation: Invocation) -> Run:
    """The run of an invocation, one for all that `ctx` offers of it."""
    if invocation.of_run is None:
        invocation.of_run = Run(parts.calls, invocation)
    return invocation.of_run


MEMBERS: Mapping[str, Callable[[ContextParts, Invocation], Any]] = {
    "streams": lambda parts, invocation: Streams(parts.calls, invocation, parts.known),
    "logger": lambda parts, invocation: Logger(parts.send, invocation),
    "state": lambda parts, invocation: State(parts.calls, invocation, parts.old_state),
    "emit": lambda parts, invocation: Emit(parts.calls, invocation),
    "app": lambda parts, _invocation: parts.app(),
    "auth": lambda _parts, invocation: invocation.auth,
    "attempt": lambda _parts, invocation: invocation.attempt,
    "run": lambda _parts, invocation: invocation.run,
    "trace_id": lambda _parts, invocation: invocation.trace,
    "traceId": lambda _parts, invocation: invocation.trace,
    "flows": lambda _parts, invocation: list(invocation.flows),
    "step": lambda parts, invocation: _run(parts, invocation).step,
    "owns": lambda parts, invocation: _run(parts, invocation).owns,
    "progress": lambda parts, invocation: Progress(parts.calls, parts.send, invocation),
    "step_name": lambda _parts, invocation: invocation.step,
}
"""What a `ctx` holds: each member by its name, and how it is made when somebody first asks for it."""


class Context:
    """What a handler gets beside its input: all of `MEMBERS`, and what middleware has put there
    (`ctx.user`)."""

    __slots__ = (*MEMBERS, "__dict__", "_invocation", "_parts")

    def __init__(self, parts: ContextParts, invocation: Invocation) -> None:
        self._parts = parts
        self._invocation = invocation

    def __getattr__(self, name: str) -> Any:
        make = MEMBERS.get(name)
        if make is None:
            raise AttributeError(f"ctx has no {name!r}; it has {', '.join(MEMBERS)}.", name=name, obj=self)
        value = make(self._parts, self._invocation)
        setattr(self, name, value)
        return value

    @property
    def cancelled(self) -> bool:
        """Whether the run is to end: somebody cancelled it, or nobody waits for the request's answer."""
        return self._invocation.cancelled

    def __dir__(self) -> list[str]:
        return sorted([*MEMBERS, "cancelled", *self.__dict__])
