"""`ctx`, the second argument of handlers. Owns its names; what streams do is `streams.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from headwater.errors import NotSupportedYet
from headwater.protocol.workers.messages import LogLevel
from headwater.worker.calls import Calls
from headwater.worker.invocation import Invocation
from headwater.worker.loglines import Send, fields_of, log_line, send_log
from headwater.worker.streams import Streams


class Logger:
    """`ctx.logger`: structured log lines that carry the trace id and the step."""

    __slots__ = ("_invocation", "_send")

    def __init__(self, send: Send, invocation: Invocation) -> None:
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


class State:
    """`ctx.state`: not there yet, and says so."""

    __slots__ = ()

    def get(self, group: str, key: str) -> NoReturn:
        """A stored value."""
        _not_yet("ctx.state.get")

    def set(self, group: str, key: str, value: Any) -> NoReturn:
        """Store a value."""
        _not_yet("ctx.state.set")

    def delete(self, group: str, key: str) -> NoReturn:
        """Delete a value."""
        _not_yet("ctx.state.delete")

    def get_group(self, group: str) -> NoReturn:
        """All values of a group."""
        _not_yet("ctx.state.get_group")

    def clear(self, group: str) -> NoReturn:
        """Delete a group."""
        _not_yet("ctx.state.clear")

    getGroup = get_group  # noqa: N815


def _not_yet(what: str) -> NoReturn:
    raise NotSupportedYet(f"{what} is not supported yet.", hint="Streams are: use ctx.streams to keep state.")


class Context:
    """What a handler gets beside its input: streams, logger, trace id, flows, step, state, emit."""

    __slots__ = ("flows", "logger", "state", "step", "streams", "traceId", "trace_id")

    def __init__(
        self,
        calls: Calls,
        send: Send,
        known: Callable[[], frozenset[str] | None],
        invocation: Invocation,
    ) -> None:
        self.streams = Streams(calls, invocation, known)
        self.logger = Logger(send, invocation)
        self.state = State()
        self.trace_id = self.traceId = invocation.trace
        self.flows = list(invocation.flows)
        self.step = invocation.step

    def emit(self, event: Any) -> NoReturn:
        """Emit an event to event steps.

        :raises NotSupportedYet: always, in this version.
        """
        _not_yet("ctx.emit")
