"""The execution of steps: from a request to its response, as a list of named steps.

Owns validation, the invocation, the time limit, and how failures are told (to the caller without anything
inside, to the log with everything). Which worker runs it is the pool's; HTTP is the server's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import orjson

from headwater.config import Settings
from headwater.errors import (
    FieldFault,
    HandlerFailed,
    HeadwaterError,
    InvalidInput,
    NotSupportedYet,
    SchemaMismatch,
    StoreCorrupt,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    TimedOut,
    TooLarge,
    TooMany,
)
from headwater.model import Origin
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.schema import Schema
from headwater.steps.project.declare import ApiRequest, ApiResponse, ApiStep, JsonSchema, StreamDeclaration
from headwater.steps.responses import response_of
from headwater.steps.workers.invocation import Calls, Invocation
from headwater.steps.workers.pool import Pool

log = logging.getLogger("headwater.steps")

_OWN_ERRORS: dict[str, type[HeadwaterError]] = {
    error.code: error
    for error in (
        NotSupportedYet,
        StoreCorrupt,
        StoreFull,
        StoreReadOnly,
        StoreUnavailable,
        TooLarge,
        TooMany,
    )
}
"""Errors of the server that went through a handler uncaught and still mean what they say to its caller."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose requests usually have no body: a bodySchema then checks only a body that is there."""


@dataclass(frozen=True, slots=True)
class _Schemas:
    """The compiled schemas of one step."""

    body: Schema | None
    responses: dict[int, Schema]


class _Failure(NamedTuple):
    """Why an invocation failed. `cause` is an error of the server that user code let through, if any."""

    message: str
    traceback: str = ""
    cause: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, result: Message) -> _Failure:
        """What a failed `result` says."""
        error = _object(result.header.get("error"))
        message = str(error.get("message") or "No reason was given.")
        return cls(message, str(error.get("traceback") or ""), _object(error.get("cause")))

    @property
    def reason(self) -> str:
        """The exception in one line, which ends a traceback or, in other languages, begins it; the message
        where there is none."""
        lines = self.traceback.splitlines()
        last = max((number for number, line in enumerate(lines) if line.startswith(" ")), default=-1)
        return next((line for line in (*lines[last + 1 :], *lines[:1]) if line), self.message)


class Executor:
    """Runs the steps of one generation. `calls` makes the server of one invocation's stream calls."""

    def __init__(self, pool: Pool, settings: Settings, calls: Callable[[], Calls]) -> None:
        self._pool = pool
        self._settings = settings
        self._calls = calls
        self._schemas: dict[str, _Schemas] = {}

    async def run_api(self, step: ApiStep, request: ApiRequest) -> ApiResponse:
        """Run an API step. Cancelling the call (the client is gone) cancels the invocation.

        :raises SchemaMismatch: the body breaks the step's bodySchema; names every field at fault.
        :raises HandlerFailed: user code raised, or answered what is no response.
        :raises NotSupportedYet: user code used something that this version does not run.
        :raises StoreUnavailable: (or a subclass, TooLarge, TooMany) user code met it and let it through.
        :raises TimedOut: the step took longer than server.request_timeout.
        :raises WorkerLost: its worker died.
        :raises Overloaded: too many requests wait for a worker.
        :raises TooLarge: the request fits no frame to a worker.
        """
        schemas = self._schemas_of(step)
        self._check_body(step, schemas.body, request)
        invocation = self._invocation(step, request)
        result = await self._run(invocation, self._settings.server.request_timeout)
        response = self._response(step, request, result)
        if self._settings.dev:
            self._check_response(step, schemas, request.trace, response)
        return response

    async def run_access(
        self, declaration: StreamDeclaration, group: str, item: str | None, auth: Any
    ) -> bool:
        """Ask a stream's access function. Anything but a clear yes in time is a no.

        Raises nothing but its own cancellation.
        """
        stream = declaration.name

        def frame(task: Task) -> Message:
            return protocol.invoke_access(task, stream=stream, group=group, item=item, auth=auth)

        invocation = Invocation(declaration.file, Origin(stream), self._calls(), frame)
        try:
            result = await self._run(invocation, self._settings.workers.access_timeout)
        except Exception as error:
            _log_refusal(declaration, str(error))
            return False
        if not result.header["ok"]:
            failure = _Failure.of(result)
            _log_refusal(declaration, failure.reason, failure.traceback)
            return False
        return result.header.get("allowed") is True

    async def _run(self, invocation: Invocation, seconds: float) -> Message:
        try:
            async with asyncio.timeout(seconds):
                return await self._pool.run(invocation)
        except TimeoutError:
            name = invocation.step or invocation.target
            raise TimedOut(
                f'"{name}" took longer than {seconds:g} s and was cancelled.',
                seconds=seconds,
                trace=invocation.trace,
            ) from None

    def _invocation(self, step: ApiStep, request: ApiRequest) -> Invocation:
        members: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "pathParams": request.path_params,
            "queryParams": request.query,
            "headers": request.headers,
            "body_kind": request.body_kind,
        }
        if request.body_kind == "inline":
            members["body"] = request.body

        def frame(task: Task) -> Message:
            return protocol.invoke_api(task, members, request.raw_body)

        origin = Origin(step.name, request.trace)
        return Invocation(step.file, origin, self._calls(), frame, flows=step.flows)

    def _response(self, step: ApiStep, request: ApiRequest, result: Message) -> ApiResponse:
        if not result.header["ok"]:
            raise self._failure(step, request.trace, _Failure.of(result))
        try:
            return response_of(result)
        except HandlerFailed as fault:
            raise self._failure(step, request.trace, _Failure(f"{fault.message}. {fault.hint}")) from None

    def _failure(self, step: ApiStep, trace: str, failure: _Failure) -> HeadwaterError:
        """The error for the caller; everything else goes into the log under the trace id."""
        told = {} if failure.reason == failure.message else {"reason": failure.reason}
        fields = {"file": step.file, **told}
        extra = {"step": step.name, "trace": trace, "traceback": failure.traceback, "fields": fields}
        log.error("%s", failure.message, extra=extra)
        own = _OWN_ERRORS.get(str(failure.cause.get("code")))
        if own is not None:
            hint = str(failure.cause.get("hint", ""))
            return own(str(failure.cause.get("message")), hint=hint, trace=trace)
        shown = {"error": failure.reason} if self._settings.dev else {}
        return HandlerFailed(
            f'The step "{step.name}" failed.',
            hint=f"The log tells why, under the trace id {trace}.",
            trace=trace,
            **shown,
        )

    # --- schemas ---

    def _schemas_of(self, step: ApiStep) -> _Schemas:
        known = self._schemas.get(step.file)
        if known is None:
            responses = {
                status: schema for status, raw in step.response_schemas.items() if (schema := _compile(raw))
            }
            known = self._schemas[step.file] = _Schemas(_compile(step.body_schema), responses)
        return known

    def _check_body(self, step: ApiStep, schema: Schema | None, request: ApiRequest) -> None:
        mode = self._settings.steps.validation
        if schema is None or mode == "off":
            return
        if request.body_kind == "none" and request.method in _BODILESS:
            return
        faults = schema.faults(request.body)
        if not faults:
            return
        message = f'The body breaks the bodySchema of "{step.name}": {_first(faults)}'
        if mode == "strict":
            raise SchemaMismatch(message, faults, trace=request.trace)
        _warn(step, request.trace, message, faults)

    def _check_response(self, step: ApiStep, schemas: _Schemas, trace: str, response: ApiResponse) -> None:
        """Warn in the log about a response that is not what the step promises; never changes it."""
        schema = schemas.responses.get(response.status)
        if schema is None or not _is_json(response):
            return
        faults = schema.faults(orjson.loads(response.body))
        if faults:
            message = f'The response breaks responseSchema[{response.status}] of "{step.name}"'
            _warn(step, trace, f"{message}: {_first(faults)}", faults)


def _compile(raw: JsonSchema | None) -> Schema | None:
    """Discovery has compiled it once already, so a fault here cannot be; it would mean no check."""
    try:
        return Schema(raw) if raw else None
    except InvalidInput:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _is_json(response: ApiResponse) -> bool:
    kind = dict(response.headers).get("content-type", "")
    try:
        return kind.startswith("application/json") and orjson.loads(response.body) is not ...
    except orjson.JSONDecodeError:
        return False


def _first(faults: list[FieldFault]) -> str:
    first = faults[0]
    return f"{first.field}: {first.message}" if first.field else first.message


def _warn(step: ApiStep, trace: str, message: str, faults: list[FieldFault]) -> None:
    fields = {"file": step.file, "faults": {fault.field: fault.message for fault in faults}}
    log.warning("%s", message, extra={"step": step.name, "trace": trace, "fields": fields})


def _log_refusal(declaration: StreamDeclaration, message: str, traceback: str = "") -> None:
    """An access function that fails refuses; its author must be able to see why."""
    fields = {"file": declaration.file, "stream": declaration.name}
    extra = {"step": declaration.name, "trace": "", "traceback": traceback, "fields": fields}
    log.error("The access function failed, so the answer is no: %s", message, extra=extra)
