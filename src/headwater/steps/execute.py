"""The execution of whatever runs, as a list of named steps: check the input, run it in time, read its answer.

Owns validation, the invocation, the time limit, and how failures are told (to the caller without anything
inside, to the log with everything). What is particular to a kind of run stands in the kind
(`project/triggers/kind.py`). Which worker runs it is the pool's; HTTP is the server's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from headwater.config import Settings
from headwater.errors import (
    FieldFault,
    HandlerFailed,
    HeadwaterError,
    InvalidInput,
    Overloaded,
    RunLost,
    SchemaMismatch,
    TimedOut,
    UnknownStream,
    error_of,
)
from headwater.heavyjson import HeavyJson
from headwater.logline import Line, tell
from headwater.model import Origin
from headwater.observe import SILENT, Observer, Run
from headwater.protocol.workers.messages import Message, Task
from headwater.schema import Schema
from headwater.steps.deadlines import Deadlines
from headwater.steps.project.triggers.kind import UNCHECKED, Check, Failure, RunKind, Runnable
from headwater.steps.workers.invocation import Allowance, Calls, Invocation
from headwater.steps.workers.pool import Pool

log = logging.getLogger("headwater.steps")

Subject = TypeVar("Subject", bound=Runnable)
Given = TypeVar("Given")
Answer = TypeVar("Answer")


class _Compiled(NamedTuple):
    """A check with its schema compiled."""

    check: Check[Any]
    schema: Schema


class _Checks(NamedTuple):
    """What the input and the answer of one subject must keep."""

    inputs: Sequence[_Compiled]
    answers: Sequence[_Compiled]


class Executor:
    """Runs what one generation declares. `calls` makes the server of one invocation's calls."""

    def __init__(
        self, pool: Pool, settings: Settings, calls: Callable[[], Calls], observer: Observer = SILENT
    ) -> None:
        self._pool = pool
        self._observer = observer
        self._settings = settings
        self._calls = calls
        self._checks: dict[tuple[str, str], _Checks] = {}
        self._allowances: dict[str, Allowance] = {}
        self._deadlines: dict[tuple[float, bool], Deadlines[Invocation]] = {}

    async def run(
        self,
        kind: RunKind[Subject, Given, Answer],
        subject: Subject,
        given: Given,
        origin: Origin | None = None,
        *,
        watch: Callable[[Invocation], None] | None = None,
    ) -> Answer:
        """Run something and give its answer. Cancelling the call (nobody waits any more) cancels it. `origin`
        is who its writes are made by; None says no more than its name. `watch` is told the invocation when it
        begins.

        Where the kind says what is answered instead of a failure, nothing is raised.

        :raises SchemaMismatch: the input breaks its schema; names every field at fault.
        :raises HandlerFailed: user code raised, or answered what is no answer of this kind.
        :raises HeadwaterError: one of `errors/`, as user code raised it or let it through.
        :raises TimedOut: it took longer than the kind allows.
        :raises WorkerLost: its worker died.
        :raises Overloaded: no worker is free, and too many wait already or the kind does not wait.
        :raises TooLarge: the input fits no frame to a worker.
        """
        origin = origin or Origin(subject.name)
        trace = origin.trace
        try:
            return await self._answer(kind, subject, given, origin, watch)
        except Failure as told:
            secrets = kind.secrets(given)
            failure = told.without(secrets) if secrets else told
            _log_failure(kind, subject, trace, failure)
            error = self._error_of(failure, subject, trace)
            error.__cause__ = failure
        except Exception as fault:
            if kind.instead is None:
                raise
            _log_failure(kind, subject, trace, Failure(str(fault)))
            error = fault
        if kind.instead is None:
            raise error
        return kind.instead

    async def _answer(
        self,
        kind: RunKind[Subject, Given, Answer],
        subject: Subject,
        given: Given,
        origin: Origin,
        watch: Callable[[Invocation], None] | None,
    ) -> Answer:
        checks = self._checks_of(kind, subject)
        if checks.inputs:
            await self._check_input(checks, subject, given, origin.trace)

        def frame(task: Task) -> Message:
            return kind.frame(task, subject, given)

        invocation = Invocation(
            subject.file,
            origin,
            self._calls(),
            frame,
            flows=subject.flows,
            allowance=self._allowance_of(kind.name, waits=kind.waits),
        )
        if watch is not None:
            watch(invocation)
        answer = _read(
            kind,
            self._settings,
            await self._ended(invocation, kind.seconds(self._settings, subject), fenced=watch is not None),
        )
        if checks.answers and self._settings.dev:
            _check_answer(checks, subject, answer, origin.trace)
        return answer

    def _allowance_of(self, name: str, *, waits: bool) -> Allowance:
        """How many of a kind may wait for a worker; what waits of another kind is not counted."""
        known = self._allowances.get(name)
        if known is None:
            most = self._settings.workers.max_waiting if waits else 0
            known = self._allowances[name] = Allowance(most, _overloaded)
        return known

    async def _ended(self, invocation: Invocation, seconds: float | None, *, fenced: bool) -> Message:
        """The worker's result, if it comes in time; for what is raised see `run`."""
        deadlines = self._deadlines_of(seconds, fenced=fenced)
        invocation.limit = seconds
        if deadlines is not None:
            deadlines.begin(invocation)
        began, code = time.monotonic(), "CANCELLED"
        try:
            result = await self._pool.run(invocation)
            code = "" if result.header["ok"] else str(result.header["error"].get("code", HandlerFailed.code))
            return result
        except HeadwaterError as error:
            code = error.code
            raise
        finally:
            if deadlines is not None:
                deadlines.end(invocation)
            if self._observer.listening:
                run = Run(invocation.file, invocation.step, invocation.trace)
                self._observer.ended(run, time.monotonic() - began, code)

    def _deadlines_of(self, seconds: float | None, *, fenced: bool) -> Deadlines[Invocation] | None:
        """Who watches over a time limit."""
        if seconds is None:
            return None
        known = self._deadlines.get((seconds, fenced))
        if known is None:
            known = Deadlines(seconds, partial(_expire, seconds, fenced))
            self._deadlines[seconds, fenced] = known
        return known

    def _error_of(self, failure: Failure, subject: Runnable, trace: str) -> HeadwaterError:
        """What the caller may know of a failure of user code: an error of ours that it raised or let through.
        A stream that is not there is a slip in the step, and nothing that the caller asked for."""
        own = error_of({**failure.cause, "trace": trace})
        if own is not None and own.status != HandlerFailed.status and not isinstance(own, UnknownStream):
            return own
        shown = {"error": failure.reason} if self._settings.dev else {}
        return HandlerFailed(
            f'The step "{subject.name}" failed.',
            hint=f"The log tells why, under the trace id {trace}.",
            trace=trace,
            **shown,
        )

    # --- schemas ---

    def _checks_of(self, kind: RunKind[Subject, Given, Answer], subject: Subject) -> _Checks:
        key = kind.name, subject.file
        known = self._checks.get(key)
        if known is None:
            inputs, answers = kind.inputs(subject), kind.answers(subject)
            known = self._checks[key] = _Checks(_compile(inputs), _compile(answers))
        return known

    async def _check_input(self, checks: _Checks, subject: Runnable, given: Any, trace: str) -> None:
        mode = self._settings.steps.validation
        if mode == "off":
            return
        for compiled in checks.inputs:
            value = compiled.check.value(given)
            heavy = isinstance(value, HeavyJson)
            faults = await value.faults(compiled.check.schema) if heavy else _faults(compiled, value)
            message = _sentence(compiled, subject, faults)
            if faults and mode == "strict":
                raise SchemaMismatch(message, faults, trace=trace)
            if faults:
                _warn(subject, trace, message, faults)


def _expire(seconds: float, fenced: bool, invocation: Invocation) -> None:
    """Its time is over, unless it has ended just now."""
    if invocation.done.done():
        return
    invocation.limit = 0.0
    if fenced:
        invocation.calls.refuse(RunLost("This attempt took too long; what it still does has no effect."))
    invocation.fail(
        TimedOut(
            f'"{invocation.step}" took longer than {seconds:g} s and was cancelled.',
            seconds=seconds,
            trace=invocation.trace,
        )
    )
    if invocation.holder is not None:
        invocation.holder.cancel(invocation)


def _read(kind: RunKind[Subject, Given, Answer], settings: Settings, result: Message) -> Answer:
    if not result.header["ok"]:
        raise Failure.of(result)
    try:
        return kind.answer(settings, result)
    except HandlerFailed as fault:
        raise Failure(f"{fault.message}. {fault.hint}") from None


def _check_answer(checks: _Checks, subject: Runnable, answer: Any, trace: str) -> None:
    """Warn in the log about an answer that is not what was promised; never changes it."""
    for compiled in checks.answers:
        faults = _faults(compiled, compiled.check.value(answer))
        if faults:
            _warn(subject, trace, _sentence(compiled, subject, faults), faults)


def _faults(compiled: _Compiled, value: Any) -> list[FieldFault]:
    """What breaks the schema."""
    return [] if value is UNCHECKED else compiled.schema.faults(value)


def _sentence(compiled: _Compiled, subject: Runnable, faults: list[FieldFault]) -> str:
    """The sentence that says so."""
    return f'{compiled.check.broken} of "{subject.name}": {_first(faults)}' if faults else ""


def _compile(checks: Sequence[Check[Any]]) -> list[_Compiled]:
    """Discovery has compiled each once already, so a fault here cannot be; it would mean no check."""
    compiled: list[_Compiled] = []
    for check in checks:
        try:
            compiled.append(_Compiled(check, Schema(check.schema)))
        except InvalidInput:
            continue
    return compiled


def _first(faults: list[FieldFault]) -> str:
    first = faults[0]
    return f"{first.field}: {first.message}" if first.field else first.message


# --- the log ---


def _warn(subject: Runnable, trace: str, message: str, faults: list[FieldFault]) -> None:
    fields = {"file": subject.file, "faults": {fault.field: fault.message for fault in faults}}
    tell(log, logging.WARNING, Line(subject.name, trace, fields), "%s", message)


def _log_failure(
    kind: RunKind[Subject, Given, Answer], subject: Runnable, trace: str, failure: Failure
) -> None:
    """What the author of user code must be able to see, under the trace id, once. To stop when asked to is no
    fault; where whoever runs it tells what becomes of a failure, that is told there."""
    if failure.cancelled:
        line = Line(subject.name, trace, {"file": subject.file})
        tell(log, logging.INFO, line, "%s", failure.message)
        return
    if kind.told is None:
        return
    message = kind.told(failure)
    told = {} if failure.reason in message else {"reason": failure.reason}
    fields = {"file": subject.file, **told}
    flood = f"{kind.name} {subject.file}" if kind.often else ""
    tell(log, logging.ERROR, Line(subject.name, trace, fields, failure.traceback, flood), "%s", message)


def _overloaded(most: int) -> Overloaded:
    if most == 0:
        return Overloaded("No worker is free for it now.", hint="It is tried again later.")
    return Overloaded(
        f"{most} requests wait for a worker already.",
        hint="Every worker is busy or blocked; raise workers.max_size, or make the steps faster.",
        limit=most,
    ).at("workers.max_waiting", most)
