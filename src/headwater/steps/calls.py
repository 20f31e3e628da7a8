"""The stream calls that one invocation makes, served in its order.

Writes begin at once, in the order of their frames. A read waits for the writes before it, and a write for the
reads before it, so that each sees exactly what was done before. Every call gets one answer, whatever happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from headwater.errors import HeadwaterError, InvalidInput
from headwater.model import Item, Origin, Terms
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.intake import Intake
from headwater.steps.workers.invocation import Reply
from headwater.streams.service import StreamService

log = logging.getLogger("headwater.steps")

READS = frozenset({"get", "get_group"})


class _Call(NamedTuple):
    message: Message
    origin: Origin
    reply: Reply
    size: int


class StreamCalls:
    """Serves the calls of one invocation, or of whatever else keeps one order."""

    __slots__ = ("_intake", "_reading", "_service", "_waiting", "_writing")

    def __init__(self, service: StreamService, intake: Intake) -> None:
        self._service = service
        self._intake = intake
        self._waiting: deque[_Call] = deque()
        self._writing = 0
        self._reading = 0

    def take(self, call: Message, origin: Origin, reply: Reply) -> None:
        """Begin a call now, or once those before it that it depends on are done."""
        size = sum(map(len, call.sections))
        self._intake.take(size)
        self._waiting.append(_Call(call, origin, reply, size))
        self._advance()

    def _advance(self) -> None:
        while self._waiting:
            is_read = self._waiting[0].message.header["method"] in READS
            if self._writing if is_read else self._reading:
                return
            self._begin(self._waiting.popleft(), is_read=is_read)

    def _begin(self, call: _Call, *, is_read: bool) -> None:
        try:
            running = self._start(call)
        except Exception as error:
            self._answer(call, _failure(call.message.header["id"], error))
            return
        if is_read:
            self._reading += 1
        else:
            self._writing += 1
        running.add_done_callback(lambda done: self._ended(call, done, is_read=is_read))

    def _ended(self, call: _Call, done: asyncio.Future[Any], *, is_read: bool) -> None:
        if is_read:
            self._reading -= 1
        else:
            self._writing -= 1
        self._answer(call, _result(call.message.header["id"], done))
        self._advance()

    def _answer(self, call: _Call, answer: Message) -> None:
        self._intake.give_back(call.size)
        call.reply(answer)

    def _start(self, call: _Call) -> asyncio.Future[Any]:
        """Hand the call to the streams; it has begun when this returns."""
        header = call.message.header
        start = _METHODS.get(header["method"])
        if start is None:
            raise InvalidInput(f"There is no call {header['method']!r}.")
        running = start(self._service, call)
        return running if isinstance(running, asyncio.Future) else asyncio.ensure_future(running)


def _item(header: dict[str, Any]) -> str:
    item = header.get("item")
    if item is None:
        raise InvalidInput("The item id must be a non-empty text, not None.")
    return item


def _terms(header: dict[str, Any]) -> Terms:
    return Terms(header.get("if_version"), header.get("ttl"), header.get("key"))


def _data(message: Message) -> bytes:
    if not message.sections:
        raise InvalidInput(f"A call {message.header['method']!r} must carry data.")
    return bytes(message.sections[0])


Running = asyncio.Future[Any] | Coroutine[Any, Any, Any]


def _set(service: StreamService, call: _Call) -> Running:
    header = call.message.header
    key = header["stream"], header["group"], _item(header)
    return service.set(*key, _data(call.message), terms=_terms(header), origin=call.origin)


def _update(service: StreamService, call: _Call) -> Running:
    header = call.message.header
    key = header["stream"], header["group"], _item(header)
    return service.update(*key, _data(call.message), terms=_terms(header), origin=call.origin)


def _delete(service: StreamService, call: _Call) -> Running:
    header = call.message.header
    key = header["stream"], header["group"], _item(header)
    return service.delete(*key, terms=_terms(header), origin=call.origin)


def _send(service: StreamService, call: _Call) -> Running:
    header = call.message.header
    return service.send(
        header["stream"], header["group"], header.get("item"), _data(call.message), origin=call.origin
    )


def _get(service: StreamService, call: _Call) -> Running:
    header = call.message.header
    return service.get(header["stream"], header["group"], _item(header))


def _get_group(service: StreamService, call: _Call) -> Running:
    header = call.message.header
    return service.get_group(header["stream"], header["group"])


_METHODS: dict[str, Callable[[StreamService, _Call], Running]] = {
    "set": _set,
    "update": _update,
    "delete": _delete,
    "send": _send,
    "get": _get,
    "get_group": _get_group,
}


def _result(number: int, done: asyncio.Future[Any]) -> Message:
    """The answer to a call from what became of it."""
    if done.cancelled():
        return protocol.failure(number, HeadwaterError("The call was given up: the server is stopping."))
    error = done.exception()
    return _value(number, done.result()) if error is None else _failure(number, error)


def _failure(number: int, error: BaseException) -> Message:
    """The answer to a call that failed; what is no error on purpose is told in the log alone."""
    if isinstance(error, HeadwaterError):
        return protocol.failure(number, error)
    log.error("A call on a stream failed", exc_info=error)
    return protocol.failure(number, HeadwaterError("The server failed at this call; see its log."))


def _value(number: int, value: Any) -> Message:
    if value is None:
        return protocol.call_result(number, None)
    if isinstance(value, Item):
        return protocol.call_result(number, value.data, (value.version,))
    items: list[Item] = list(value)
    text = b"[" + b",".join(item.data for item in items) + b"]"
    return protocol.call_result(number, text, [item.version for item in items])
