"""Steps of type `api`: a route, a body schema, response schemas; and how a request becomes a response."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast, get_args

import orjson

from headwater.heavyjson import HeavyJson, is_heavy
from headwater.peer import bearer_of
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.project.declare import ApiRequest, ApiResponse, ApiStep, JsonSchema, Method
from headwater.steps.project.paths import check_path
from headwater.steps.project.shape import (
    SCHEMA,
    TEXTS,
    TOPICS,
    Fault,
    Key,
    is_object,
    required,
    schema_fault,
    suggestion,
)
from headwater.steps.project.triggers.base import COMMON, Entry, Trigger, shared
from headwater.steps.project.triggers.kind import UNCHECKED, Check, RunKind
from headwater.steps.responses import response_of

METHODS: tuple[str, ...] = get_args(Method)

SHORTEST_SECRET = 12
"""Characters of what a request brings that make it a secret: `theme=dark` is none."""


def _is_query_params(value: Any) -> bool:
    return isinstance(value, list) and all(
        is_object(one)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("description", ""), str | None)
        for one in cast("list[Any]", value)
    )


def _is_status(key: str) -> bool:
    return key.isdecimal() and 100 <= int(key) <= 599


def _faults(config: Mapping[str, Any]) -> list[Fault]:
    faults = [*_method_faults(config.get("method")), *_path_faults(config.get("path"))]
    body = schema_fault("bodySchema", config.get("bodySchema"))
    responses = cast("Mapping[str, Any]", config.get("responseSchema") or {})
    faults += [body] if body else []
    for status, schema in responses.items() if is_object(responses) else ():
        faults += _response_faults(status, schema)
    return faults


def _method_faults(method: Any) -> list[Fault]:
    if not isinstance(method, str) or method in METHODS:
        return []
    hint = f'Write "{method.upper()}".' if method.upper() in METHODS else suggestion(method, METHODS)
    return [Fault("error", "method", f'"method" must be one of {", ".join(METHODS)}, not "{method}"', hint)]


def _path_faults(path: Any) -> list[Fault]:
    reason = check_path(path) if isinstance(path, str) else None
    return [Fault("error", "path", f'"path" cannot be served: {reason}')] if reason else []


def _response_faults(status: str, schema: Any) -> list[Fault]:
    key = f"responseSchema.{status}"
    if not _is_status(status):
        message = f'"responseSchema" maps HTTP statuses to schemas; "{status}" is no status and is ignored'
        return [Fault("warning", key, message)]
    if schema is not None and not is_object(schema):
        return [Fault("error", key, f'"{key}" must be {SCHEMA.allowed}')]
    fault = schema_fault(key, schema)
    return [fault] if fault else []


def _declare(entry: Entry) -> ApiStep:
    config = entry.config
    responses = cast("Mapping[str, JsonSchema]", config.get("responseSchema") or {})
    params = cast("list[dict[str, str | None]]", config.get("queryParams") or [])
    return ApiStep(
        **shared(entry),
        path=config["path"],
        method=config["method"],
        body_schema=config.get("bodySchema") or None,
        response_schemas={
            int(status): schema for status, schema in responses.items() if schema and _is_status(status)
        },
        query_params=tuple((one["name"] or "", one.get("description") or "") for one in params),
        middleware=entry.middleware,
    )


TRIGGER = Trigger(
    type="api",
    keys={
        **COMMON,
        "path": Key('text such as "/orders/:id"', lambda value: isinstance(value, str), required=True),
        "method": Key(f"one of {', '.join(METHODS)}", lambda value: isinstance(value, str), required=True),
        "emits": required(TOPICS),
        "bodySchema": SCHEMA,
        "responseSchema": Key("an object that maps statuses to JSON Schemas", is_object),
        "queryParams": Key("a list of {name, description}", _is_query_params),
        "middleware": Key("a list of functions", lambda _value: True),
        "virtualEmits": TOPICS,
        "virtualSubscribes": TOPICS,
        "includeFiles": TEXTS,
    },
    declare=_declare,
    faults=_faults,
)


# --- running ---

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose requests usually have no body: a bodySchema then checks only a body that is there."""


def _frame(task: Task, _step: ApiStep, request: ApiRequest) -> Message:
    members: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "pathParams": request.path_params,
        "queryParams": request.query,
        "headers": request.headers,
        "body_kind": request.body_kind,
    }
    if request.body_kind == "inline":
        heavy = isinstance(request.body, HeavyJson)
        members["body"] = orjson.Fragment(request.body.text) if heavy else request.body
    told: dict[str, Any] = {"request": members}
    if request.auth is not None:
        told["auth"] = orjson.loads(request.auth)
    return protocol.invoke(task, "api", told, (request.raw_body,))


def _inputs(step: ApiStep) -> list[Check[ApiRequest]]:
    schema = step.body_schema
    return [Check(schema, "The body breaks the bodySchema", _body)] if schema else []


def _body(request: ApiRequest) -> Any:
    absent = request.body_kind == "none" and request.method in _BODILESS
    return UNCHECKED if absent else request.body


def _answers(step: ApiStep) -> list[Check[ApiResponse]]:
    return [
        Check(
            schema,
            f"The response breaks responseSchema[{status}]",
            functools.partial(_json_body, status),
        )
        for status, schema in step.response_schemas.items()
    ]


def _json_body(status: int, response: ApiResponse) -> Any:
    kind = dict(response.headers).get("content-type", "")
    if response.status != status or not kind.startswith("application/json") or is_heavy(response.body):
        return UNCHECKED
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return UNCHECKED


def _secrets(request: ApiRequest) -> list[str]:
    """What a request brings to say who sent it: a step that fails often quotes its headers."""
    pairs = request.headers.get("cookie", "").split(";")
    given = (bearer_of(request.headers.get("authorization", "")), *(pair.partition("=")[2] for pair in pairs))
    return [text.strip() for text in given if len(text) >= SHORTEST_SECRET]


API: RunKind[ApiStep, ApiRequest, ApiResponse] = RunKind(
    name="api",
    frame=_frame,
    answer=lambda settings, result: response_of(result, settings.steps.text_bodies),
    seconds=lambda settings, _step: settings.server.request_timeout,
    inputs=_inputs,
    answers=_answers,
    waits=True,
    secrets=_secrets,
)
