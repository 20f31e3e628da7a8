"""The one error tree. Owns every stable error code; knows nothing of transports, files or stores.

A code is part of the interface: it is what clients, tests and log searches match, so it never changes
its meaning. The message says what is wrong and the hint says what to do next; neither may hold a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field that broke a schema: `field` is a dotted path ("" is the whole value), `message` says why."""

    field: str
    message: str


class Limit(NamedTuple):
    """A limit that was met: the setting, as "section.key", and its value."""

    setting: str
    value: float


class HeadwaterError(Exception):
    """The root of every error that Headwater raises on purpose.

    `code` is stable, `status` is the HTTP status it maps to, `details` are plain JSON values for tools.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500

    limit: Limit | None = None
    """The limit that was met, for whoever answers the error to tell; no part of what the caller is told."""

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def at(self, setting: str, value: float) -> Self:
        """The error, which is about a limit that a setting sets."""
        self.limit = Limit(setting, value)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The error as plain JSON values: `code`, `message`, `hint` when there is one, and the details."""
        hint = {"hint": self.hint} if self.hint else {}
        return {"code": self.code, "message": self.message, **hint, **self.details}


class ConfigError(HeadwaterError):
    """A setting that cannot be used; `details` name the setting and where it was read."""

    code = "CONFIG_INVALID"


class ProjectError(HeadwaterError):
    """A fault in the user's project; `details` may carry `file` (relative to the project) and `line`."""

    code = "PROJECT_INVALID"


class FileUnloadable(ProjectError):
    """A file that ends the process that loads it, or holds it up for longer than it may; `details["file"]` is
    its path."""

    code = "FILE_UNLOADABLE"


class NotSupportedYet(HeadwaterError):
    """A declared thing that this version does not run; says so instead of pretending."""

    code = "NOT_SUPPORTED_YET"
    status = 501


class InvalidInput(HeadwaterError):
    """Input that is well-formed but not allowed: an empty id, an unknown operation, a wrong type."""

    code = "INVALID_INPUT"
    status = 400


class SchemaMismatch(HeadwaterError):
    """A value that breaks its schema; `faults` name each field."""

    code = "SCHEMA_MISMATCH"
    status = 400

    def __init__(self, message: str, faults: list[FieldFault], *, hint: str = "", **details: Any) -> None:
        listed = [{"field": fault.field, "message": fault.message} for fault in faults]
        super().__init__(message, hint=hint, faults=listed, **details)

    @property
    def faults(self) -> list[FieldFault]:
        """Each field at fault."""
        return [FieldFault(**one) for one in self.details.get("faults", ())]


class UnknownStream(HeadwaterError):
    """A stream that the project does not declare."""

    code = "STREAM_UNKNOWN"
    status = 404


class UnknownItem(HeadwaterError):
    """An item that its group does not hold."""

    code = "ITEM_UNKNOWN"
    status = 404


class Conflict(HeadwaterError):
    """A write whose `if_version` is not the item's version; `details["version"]` is the current one."""

    code = "CONFLICT"
    status = 409


class TooLarge(HeadwaterError):
    """Something above its limit; `details` carry `limit` and, where known, `size`, both in bytes."""

    code = "TOO_LARGE"
    status = 413


class TooComplex(TooLarge):
    """JSON that holds more values than it may, or nests deeper; `details` carry `limit` or `depth`."""

    code = "TOO_COMPLEX"


class TooMany(HeadwaterError):
    """More of something than its limit allows; `details["limit"]` is the limit."""

    code = "TOO_MANY"
    status = 429


class ProtocolFault(HeadwaterError):
    """A frame that the protocol does not allow."""

    code = "PROTOCOL_FAULT"
    status = 400


class AccessDenied(HeadwaterError):
    """A subscription or request that the project's own rules refuse."""

    code = "STREAM_ACCESS_DENIED"
    status = 403


class Unauthenticated(HeadwaterError):
    """A request that says who asks and is not believed, or that says it in no way that is understood."""

    code = "UNAUTHENTICATED"
    status = 401


class AuthUnavailable(HeadwaterError):
    """Nobody can say who asks now, so nobody is let in: the project's authenticator is broken, took too long,
    or found no worker."""

    code = "AUTH_UNAVAILABLE"
    status = 503


class StoreUnavailable(HeadwaterError):
    """The store cannot take or answer this now (locked file, I/O error, closed); nothing was acknowledged."""

    code = "STORE_UNAVAILABLE"
    status = 503


class StoreFull(StoreUnavailable):
    """The disk under the store is full; nothing was acknowledged."""

    code = "STORE_FULL"


class StoreReadOnly(StoreUnavailable):
    """The store's file or folder cannot be written."""

    code = "STORE_READ_ONLY"


class StoreCorrupt(StoreUnavailable):
    """The store's file is damaged or is not a store of this kind."""

    code = "STORE_CORRUPT"


class WorkerLost(HeadwaterError):
    """The worker that ran an invocation is gone; the invocation did not finish."""

    code = "WORKER_LOST"
    status = 502


class NodeMissing(HeadwaterError):
    """No Node runs the project's TypeScript and JavaScript files; the other files are served."""

    code = "NODE_MISSING"
    status = 503


class Overloaded(HeadwaterError):
    """The server has as much to do as it may hold, or is stopping; nothing was begun, so trying again is
    safe."""

    code = "OVERLOADED"
    status = 503


class StepCrashes(Overloaded):
    """A step that has ended its process again and again, so that it is not run for `details["seconds"]`."""

    code = "STEP_CRASHES"


class UnknownStep(HeadwaterError):
    """A step that the running generation of the project does not have any more."""

    code = "STEP_UNKNOWN"
    status = 404


class RunUnknown(HeadwaterError):
    """There is no such run, or it has ended; `details` name it or the item that was to tell it."""

    code = "RUN_UNKNOWN"
    status = 404


class RunLost(HeadwaterError):
    """What an attempt at a run does that is over: cancelled, timed out, or taken up by another."""

    code = "RUN_LOST"
    status = 409


class JobUnknown(HeadwaterError):
    """No event or run of that id waits, runs or is kept; `details["job"]` is the id."""

    code = "JOB_UNKNOWN"
    status = 404


class HandlerFailed(HeadwaterError):
    """User code raised or answered nonsense; the traceback is in the log under the trace id, never here."""

    code = "HANDLER_FAILED"
    status = 500


class TimedOut(HeadwaterError):
    """Something took longer than its limit; `details["seconds"]` is the limit."""

    code = "TIMED_OUT"
    status = 504


class RouteUnknown(HeadwaterError):
    """No step, file or page has this path; `details["path"]` is the path asked for."""

    code = "ROUTE_UNKNOWN"
    status = 404


class MethodNotAllowed(HeadwaterError):
    """The path is known, but not for this method; `details["allow"]` lists the methods it has."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class RequestInvalid(HeadwaterError):
    """A request that breaks HTTP itself or the encoding of its path."""

    code = "REQUEST_INVALID"
    status = 400


class BodyInvalid(HeadwaterError):
    """A body that is not what its content type says; `details` may carry `line`, `column` and `offset`."""

    code = "BODY_INVALID"
    status = 400


class BodyUnsupported(HeadwaterError):
    """A body in a charset or an encoding that this server does not read."""

    code = "BODY_UNSUPPORTED"
    status = 415


class RequestTooSlow(HeadwaterError):
    """A client that took too long to send its request; `details["seconds"]` is the limit."""

    code = "REQUEST_TOO_SLOW"
    status = 408


class HeadersTooLarge(TooLarge):
    """The request line and headers are above their limit; `details["limit"]` is the limit in bytes."""

    code = "HEADERS_TOO_LARGE"
    status = 431


class OriginRefused(HeadwaterError):
    """A browser page of an origin that the settings do not allow; `details["origin"]` names it."""

    code = "ORIGIN_REFUSED"
    status = 403


class HostRefused(HeadwaterError):
    """A request for a name that the settings do not allow; `details["host"]` is that name."""

    code = "HOST_REFUSED"
    status = 403


class ShuttingDown(HeadwaterError):
    """The server ended before the request did; whether the request took effect is not known."""

    code = "SHUTTING_DOWN"
    status = 503


class CannotListen(ConfigError):
    """The address cannot be listened on; `details` carry `host` and `port`."""

    code = "CANNOT_LISTEN"


class AlreadyRunning(ConfigError):
    """A server of this project runs already; `details["pid"]` is its process, where that is known."""

    code = "ALREADY_RUNNING"


class NoServer(HeadwaterError):
    """A command needs the running server of a project, and none runs; `details["project"]` is its folder."""

    code = "NO_SERVER"
    status = 503


def every_error(root: type[HeadwaterError] = HeadwaterError) -> Iterator[type[HeadwaterError]]:
    """The errors of this page, from the root down, each once."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == __name__:
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
