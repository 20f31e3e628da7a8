"""What HTTP and the server itself refuse."""

from __future__ import annotations

from headwater.errors.root import ConfigError, HeadwaterError
from headwater.errors.values import TooLarge


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
