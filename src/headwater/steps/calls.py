"""The calls that one invocation makes, served in its order, whichever services they name.

Writes begin at once, in the order of their frames. A read waits for the writes before it, and a write for the
reads before it, so that each sees exactly what was done before; one that does both, as `clear`, runs alone.
Every call gets one answer, whatever happens. What there is to call is in `services/`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from headwater.errors import HeadwaterError, InvalidInput
from headwater.model import Origin
from headwater.observe import SILENT, Observer, tell_limit
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.steps.services.service import Method, Running, Service
from headwater.steps.workers.intake import Intake
from headwater.steps.workers.invocation import Reply

log = logging.getLogger("headwater.steps")


class _Call(NamedTuple):
    message: Message
    origin: Origin
    method: Method
    reply: Reply
    size: int

    @property
    def number(self) -> int:
        return self.message.header["id"]


class OrderedCalls:
    """Serves the calls of one invocation, or of whatever else keeps one order. `services` by name."""

    __slots__ = ("_intake", "_observer", "_reading", "_refusal", "_services", "_waiting", "_writing")

    def __init__(self, services: Mapping[str, Service], intake: Intake, observer: Observer = SILENT) -> None:
        self._observer = observer
        self._services = services
        self._intake = intake
        self._waiting: deque[_Call] = deque()
        self._writing = 0
        self._reading = 0
        self._refusal: HeadwaterError | None = None

    def take(self, call: Message, origin: Origin, reply: Reply) -> None:
        """Begin a call now, or once those before it that it depends on are done."""
        size = sum(map(len, call.sections))
        self._intake.take(size)
        made = _Call(call, origin, self._method(call), reply, size)
        if self._waiting or self._depends(made.method):
            self._waiting.append(made)
        else:
            self._begin(made)

    def refuse(self, error: HeadwaterError) -> None:
        """Answer every later call with this error: whoever makes them has no business any more."""
        self._refusal = error

    def _method(self, call: Message) -> Method:
        service = self._services.get(call.header["service"])
        method = (service.get(call.header["method"]) if service is not None else None) or _UNKNOWN
        return (None if method.larger is None else method.larger(call)) or method

    def _advance(self) -> None:
        while self._waiting and not self._depends(self._waiting[0].method):
            self._begin(self._waiting.popleft())

    def _depends(self, method: Method) -> bool:
        """Whether a call has to wait for what is under way."""
        return bool(
            (self._reading and not method.reads) or (self._writing and (method.reads or method.alone))
        )

    def _begin(self, call: _Call) -> None:
        try:
            if self._refusal is not None:
                raise self._refusal
            running = call.method.start(call.message, call.origin)
            running = running if isinstance(running, asyncio.Future) else asyncio.ensure_future(running)
        except Exception as error:
            tell_limit(self._observer, error)
            self._answer(call, _failure(call.number, error))
            return
        self._count(call, 1)
        running.add_done_callback(partial(self._ended, call))

    def _ended(self, call: _Call, done: asyncio.Future[Any]) -> None:
        self._count(call, -1)
        if not done.cancelled() and (error := done.exception()) is not None:
            tell_limit(self._observer, error)
        self._answer(call, _result(call, done))
        self._advance()

    def _count(self, call: _Call, by: int) -> None:
        if call.method.reads or call.method.alone:
            self._reading += by
        if not call.method.reads:
            self._writing += by

    def _answer(self, call: _Call, answer: Message) -> None:
        self._intake.give_back(call.size)
        call.reply(answer)


def _refuse(call: Message, _origin: Origin) -> Running:
    header = call.header
    raise InvalidInput(f"There is no call {header['method']!r:.80} of {header['service']!r:.80}.")


_UNKNOWN = Method(_refuse)


def _result(call: _Call, done: asyncio.Future[Any]) -> Message:
    """The answer to a call from what became of it."""
    if done.cancelled():
        return protocol.failure(call.number, HeadwaterError("The call was given up: the server is stopping."))
    error = done.exception()
    if error is not None:
        return _failure(call.number, error)
    return protocol.call_result(call.number, *call.method.value(done.result()))


def _failure(number: int, error: BaseException) -> Message:
    """The answer to a call that failed; what is no error on purpose is told in the log alone."""
    if isinstance(error, HeadwaterError):
        return protocol.failure(number, error)
    log.error("A call of a step failed", exc_info=error)
    return protocol.failure(number, HeadwaterError("The server failed at this call; see its log."))
