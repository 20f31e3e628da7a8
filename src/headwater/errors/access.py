"""Who is not let in, and who cannot be asked."""

from __future__ import annotations

from headwater.errors.root import HeadwaterError


class AccessDenied(HeadwaterError):
    """A subscription or request that the project's own rules refuse."""

    code = "STREAM_ACCESS_DENIED"
    status = 403


class Revoked(AccessDenied):
    """A subscription that was open and is taken away: whoever has it may not follow this any more."""

    code = "REVOKED"


class Unauthenticated(HeadwaterError):
    """A request that says who asks and is not believed, or that says it in no way that is understood."""

    code = "UNAUTHENTICATED"
    status = 401


class TokenExpired(Unauthenticated):
    """A connection whose token has expired, until a new one is given."""

    code = "TOKEN_EXPIRED"


class AuthUnavailable(HeadwaterError):
    """Nobody can say who asks now, so nobody is let in: the project's authenticator is broken, took too long,
    or found no worker."""

    code = "AUTH_UNAVAILABLE"
    status = 503


class OriginRefused(HeadwaterError):
    """A browser page of an origin that the settings do not allow; `details["origin"]` names it."""

    code = "ORIGIN_REFUSED"
    status = 403


class HostRefused(HeadwaterError):
    """A request for a name that the settings do not allow; `details["host"]` is that name."""

    code = "HOST_REFUSED"
    status = 403
