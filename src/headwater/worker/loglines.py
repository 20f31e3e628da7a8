"""Log lines of user code as messages: cut to size, fields made JSON. Owns their limits; decides no level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from headwater.errors import HeadwaterError
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import LogLevel, Message
from headwater.worker.calls import Call
from headwater.worker.faults import traceback_text
from headwater.worker.invocation import Invocation
from headwater.worker.values import clean

MAX_LOG_CHARS = 64 * 1024
"""Longest log message and longest single field, in characters; the rest is cut off."""

Send = Callable[[Message], None]


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


def call_failed(invocation: Invocation | None, call: Call) -> Message:
    """The log line for a failed call that nobody awaited."""
    error = dict(call.error or {})
    file, line = call.place
    fields = {"code": error.pop("code", ""), **call.about}
    said = error.pop("message", "")
    text = f"A call of {call.method} that nobody awaited failed: {said} ({file}:{line})"
    fields |= {"file": file, "line": line, **error}
    return log_line("error", text, fields_of(fields, {}), invocation)


def send_log(send: Send, line: Message) -> None:
    """Send a log line. Logging never fails the code that logs: a line too large goes without its fields."""
    try:
        send(line)
    except HeadwaterError as error:
        cut = {**line.header, "message": line.header["message"][:1000], "fields": {"cut": error.message}}
        try:
            send(Message(cut))
        except HeadwaterError:
            return  # a forked process: there is nobody to tell
