"""`ctx`, the second argument of handlers. Owns its names; what streams do is `streams.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

import orjson

from headwater.errors import NotSupportedYet
from headwater.protocol import worker as protocol
from headwater.protocol.worker import LogLevel, Message
from headwater.worker.calls import Calls
from headwater.worker.faults import traceback_text
from headwater.worker.invocation import Invocation
from headwater.worker.streams import Streams
from headwater.worker.values import clean

MAX_LOG_CHARS = 64 * 1024
"""Longest log message and longest single field, in characters; the rest is cut off."""

Send = Callable[[Message], None]


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
        self._send(log_line(level, message, fields_of(fields, more), self._invocation))


def log_line(
    level: LogLevel, message: Any, fields: Mapping[str, Any], invocation: Invocation | None
) -> Message:
    """A `log` message, cut to size."""
    whose = invocation.whose() if invocation else protocol.Whose()
    return protocol.log(level, clean(str(message))[:MAX_LOG_CHARS], fields, whose)


def fields_of(fields: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """Log fields as plain JSON values: what has no JSON form is shown by its repr."""
    named = cast(Mapping[Any, Any], fields) if isinstance(fields, Mapping) else {"value": fields}
    every = {**({} if fields is None else named), **more}
    return {clean(str(name)): _field(value) for name, value in every.items()}


def _field(value: Any) -> Any:
    if isinstance(value, BaseException):
        return traceback_text(value)
    try:
        text = orjson.dumps(value, default=_shown, option=orjson.OPT_NON_STR_KEYS)
        return orjson.loads(text) if len(text) <= MAX_LOG_CHARS else text.decode()[:MAX_LOG_CHARS]
    except (orjson.JSONEncodeError, RecursionError):
        return _shown(value)


def _shown(value: Any) -> str:
    try:
        return clean(repr(value))[:MAX_LOG_CHARS]
    except Exception as error:
        return f"<{type(value).__name__}, whose repr failed: {type(error).__name__}>"


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
