"""The one error tree. Owns every stable error code; knows nothing of transports, files or stores.

A code is part of the interface: it is what clients, tests and log searches match, so it never changes
its meaning. The message says what is wrong and the hint says what to do next; neither may hold a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headwater.errors.access import (
    AccessDenied,
    AuthUnavailable,
    HostRefused,
    OriginRefused,
    Revoked,
    TokenExpired,
    Unauthenticated,
)
from headwater.errors.keeping import StoreCorrupt, StoreFull, StoreReadOnly, StoreUnavailable
from headwater.errors.root import ConfigError, FieldFault, FileUnloadable, HeadwaterError, Limit, ProjectError
from headwater.errors.running import (
    HandlerFailed,
    JobUnknown,
    NodeMissing,
    Overloaded,
    QueueFull,
    RunLost,
    RunUnknown,
    StepCrashes,
    TimedOut,
    UnknownStep,
    WorkerLost,
)
from headwater.errors.serving import (
    AlreadyRunning,
    BodyInvalid,
    BodyUnsupported,
    CannotListen,
    HeadersTooLarge,
    MethodNotAllowed,
    NoServer,
    RequestInvalid,
    RequestTooSlow,
    RouteUnknown,
    ShuttingDown,
)
from headwater.errors.values import (
    Conflict,
    InvalidInput,
    NotSupportedYet,
    PreconditionFailed,
    ProtocolFault,
    SchemaMismatch,
    TooComplex,
    TooLarge,
    TooMany,
    UnknownItem,
    UnknownStream,
)

__all__ = [
    "AccessDenied",
    "AlreadyRunning",
    "AuthUnavailable",
    "BodyInvalid",
    "BodyUnsupported",
    "CannotListen",
    "ConfigError",
    "Conflict",
    "FieldFault",
    "FileUnloadable",
    "HandlerFailed",
    "HeadersTooLarge",
    "HeadwaterError",
    "HostRefused",
    "InvalidInput",
    "JobUnknown",
    "Limit",
    "MethodNotAllowed",
    "NoServer",
    "NodeMissing",
    "NotSupportedYet",
    "OriginRefused",
    "Overloaded",
    "PreconditionFailed",
    "ProjectError",
    "ProtocolFault",
    "QueueFull",
    "RequestInvalid",
    "RequestTooSlow",
    "Revoked",
    "RouteUnknown",
    "RunLost",
    "RunUnknown",
    "SchemaMismatch",
    "ShuttingDown",
    "StepCrashes",
    "StoreCorrupt",
    "StoreFull",
    "StoreReadOnly",
    "StoreUnavailable",
    "TimedOut",
    "TokenExpired",
    "TooComplex",
    "TooLarge",
    "TooMany",
    "Unauthenticated",
    "UnknownItem",
    "UnknownStep",
    "UnknownStream",
    "WorkerLost",
    "error_of",
    "every_error",
]


def every_error(root: type[HeadwaterError] = HeadwaterError) -> Iterator[type[HeadwaterError]]:
    """The errors of this package, from the root down, each once; those of projects derive from them too."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.startswith(f"{__name__}."):
            yield from every_error(kind)


def error_of(members: Mapping[str, Any]) -> HeadwaterError | None:
    """The error that `to_dict` told, of the class that has its code; None where no class here has it."""
    kind = next((kind for kind in every_error() if kind.code == members.get("code")), None)
    if kind is None:
        return None
    # Some classes take more than a message; what was told is all in the details.
    error = kind.__new__(kind)
    details = {name: value for name, value in members.items() if name not in {"code", "message", "hint"}}
    message = str(members.get("message") or kind.code)
    HeadwaterError.__init__(error, message, hint=str(members.get("hint") or ""), **details)
    return error
