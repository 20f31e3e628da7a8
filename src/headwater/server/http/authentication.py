"""Who a peer is: asks the project, and fails closed. HTTP, sockets and event streams ask here.

Owns what is asked, for how long an answer holds, and that a wrong token is never taken for nobody. Knows no
worker: whoever asks the project is given. Where the project says nothing of who asks, nothing is asked.
"""

from __future__ import annotations

import base64
import hmac
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple, cast
from urllib.parse import unquote_plus

import orjson

from headwater.config import AuthSettings, ServiceToken
from headwater.errors import HeadwaterError, OriginRefused, TokenExpired, Unauthenticated
from headwater.peer import TOKEN_PARAMETER, Peer, token_digest
from headwater.server.http.origins import SETTING_HINT, Origins
from headwater.steps.project.declare import Authenticator
from headwater.steps.project.triggers.authenticate import AuthQuestion

AskWho = Callable[[AuthQuestion], Awaitable[bytes | None]]
"""Asks the project: the JSON text of a context, or None for nobody. Raises HeadwaterError where it is refused
or cannot be asked."""


Revoked = Callable[[str | None, float | None, str | None], bool]
"""Whether a token is revoked: by its user, when it was issued, and its digest; None is not known."""

_BROWSERS_OWN = frozenset({"basic", "digest", "negotiate", "ntlm"})
"""Schemes of `Authorization` by which a browser says who its user is without that a page has asked."""


class _Held(NamedTuple):
    known: _Known
    until: float


class _Known(NamedTuple):
    """A context, and what of it matters here: its name, and when it ends."""

    context: bytes
    identity: str | None
    expires: float | None
    issued: float | None


class Authentication:
    """Who asks, for one server. Until `take` has been told of an authenticator, everybody is nobody."""

    def __init__(
        self,
        ask: AskWho,
        settings: AuthSettings,
        origins: Origins,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        revoked: Revoked = lambda _user, _issued, _token: False,
    ) -> None:
        """`now` says for how long an answer is held, `wall` whether a context has ended, `revoked` whether a
        token is refused whatever the project says of it."""
        self._revoked = revoked
        self._services = settings.service_tokens
        self.asks = bool(self._services)
        """Whether there is anybody to ask; where not, `know` need not be called."""
        self.era = 0
        """Grows whenever what `know` answered before may hold no longer."""
        self._ask = ask
        self._settings = settings
        self._cached = math.inf if settings.claims else settings.cache
        """Seconds for which an answer is held: what a token says itself holds until it ends."""
        self._leeway = settings.jwt_leeway if settings.claims else 0.0
        self._origins = origins
        self._now = now
        self._wall = wall
        self._who: Authenticator | None = None
        self._held: dict[bytes, _Held] = {}
        self._forgotten = 0
        """How often all that was answered was forgotten."""

    def take(self, who: Authenticator | None) -> bool:
        """A generation takes over. Whether everybody is to be asked again, whoever they were."""
        if who == self._who:
            return False
        self._who, self.asks = who, who is not None or bool(self._services)
        self.forget()
        return True

    async def know(self, peer: Peer) -> Peer:
        """The peer, with the identity and the context that the project gives it; without, it is nobody.

        :raises Unauthenticated: it brings a token that is not believed, or the project refuses it.
        :raises TokenExpired: it brings one that was, until then.
        :raises OriginRefused: it brings cookies from a page that may not use them.
        :raises AuthUnavailable: the project cannot be asked.
        """
        if not self.asks:
            return peer
        service = self._service(peer)
        if service is not None:
            return service
        peer = replace(peer, service=None) if peer.service is not None else peer
        cookies = peer.cookies
        if self._who is not None:  # Else cookies mean nothing.
            self._check_origin(peer, cookies)
        token = self._token_of(peer, cookies)
        while True:
            forgotten = self._forgotten
            known = await self._known(peer, token, cookies)
            if forgotten == self._forgotten:
                break
        if known is None and (
            token is None or (self._is_old and not self._revoked(None, None, _text_digest(token)))
        ):
            return peer
        if known is None or self._revoked(known.identity, known.issued, _text_digest(token)):
            hint = "Bring a token that is valid, or none."
            raise Unauthenticated("The token is not valid here.", hint=hint)
        if self._has_ended(known):
            raise expired()
        return replace(peer, context=known.context, identity=known.identity, expires=known.expires)

    def holds(self, known: Peer, era: int) -> bool:
        """Whether what was known in that era is so still: nothing was taken away meanwhile, and it has not
        ended. To be asked after whatever the peer itself can make last, as the sending of a body."""
        return era == self.era and (known.expires is None or known.expires > self._wall())

    def fault_of(self, known: Peer) -> HeadwaterError | None:
        """What stands by now against somebody who was known: its token has ended, or was revoked."""
        if known.expires is not None and known.expires <= self._wall():
            return TokenExpired("The token has expired.", hint="Bring a new one.")
        told: dict[str, Any] = {} if known.context is None else orjson.loads(known.context)
        if self.asks and self._revoked(known.identity, told.get("iat"), self.digest_of(known)):
            return Unauthenticated("The token is not valid any more.", hint="It was revoked.")
        return None

    @property
    def asks_callers(self) -> bool:
        """Whether there is anybody to ask who calls an API step; where not, `know_caller` need not be
        called."""
        return bool(self._services) if self._is_old else self.asks

    async def know_caller(self, peer: Peer) -> Peer:
        """The same of who calls an API step. The old format's authenticator is not asked about it: tokens
        there are its steps' own matter.

        :raises HeadwaterError: see `know`; a service token is revoked.
        """
        return (self._service(peer) or peer) if self._is_old else await self.know(peer)

    @property
    def _is_old(self) -> bool:
        return self._who is not None and self._who.old

    def forget(self) -> None:
        """What was answered until now is believed no longer: all are asked about anew, and so is whoever is
        being asked about."""
        self._held.clear()
        self._forgotten += 1
        self.doubt()

    def doubt(self) -> None:
        """Something was revoked or restored. What is held stays, for that is asked of it each time; but
        whoever was let in and has not entered yet is to be looked at again."""
        self.era += 1

    def digest_of(self, peer: Peer) -> str | None:
        """The digest of the token that a peer brought, by which it can be revoked; None where it brought
        none."""
        if peer.service is not None:
            return peer.service.digest.hex()
        return _text_digest(self._token_of(peer, peer.cookies))

    def _service(self, peer: Peer) -> Peer | None:
        """The peer as another backend; None where it is none.

        :raises Unauthenticated: its token is revoked.
        """
        service = self._service_of(peer) if self._services else None
        if service is None:
            return None
        if self._revoked(None, None, service.digest.hex()):
            raise Unauthenticated("The token is not valid here.", hint="It was revoked.")
        context = orjson.dumps({"service": service.name})
        return replace(peer, service=service, context=context, identity=None, expires=None)

    def _service_of(self, peer: Peer) -> ServiceToken | None:
        """The other backend whose token it brings. All are looked at, and each in the same time."""
        token = peer.sent_token
        if token is None:
            return None
        digest = token_digest(token)
        matching = [one for one in self._services if hmac.compare_digest(one.digest, digest)]
        return matching[0] if matching else None

    def _token_of(self, peer: Peer, cookies: dict[str, str]) -> str | None:
        return peer.token or cookies.get(self._settings.cookie) or None

    async def _known(self, peer: Peer, token: str | None, cookies: dict[str, str]) -> _Known | None:
        key = None
        if token is not None and self._cached:
            key = token_digest(token)
            held = self._held.get(key)
            if held is not None and held.until > self._now() and not self._has_ended(held.known):
                return held.known
        forgotten = self._forgotten
        context = await self._ask(_question(peer, token, cookies))
        if context is None:
            return None
        known = _known_by(context, self._leeway)
        if key is not None and forgotten == self._forgotten:
            self._hold(key, known)
        return known

    def _has_ended(self, known: _Known) -> bool:
        return known.expires is not None and known.expires <= self._wall()

    def _hold(self, key: bytes, known: _Known) -> None:
        self._held.pop(key, None)
        while len(self._held) >= self._settings.cache_size:
            del self._held[next(iter(self._held))]
        self._held[key] = _Held(known, self._now() + self._cached)

    def _check_origin(self, peer: Peer, cookies: dict[str, str]) -> None:
        """A browser adds cookies to what any page sends, and passwords that it was asked for by HTTP: they
        speak for the user only on pages that may.

        Whatever else the request brings, for a page can make up a token to get past this.
        """
        origin = peer.headers.get("origin")
        if origin is None or not (cookies or _is_of_the_browser(peer)):
            return
        if self._origins.trusts(origin, peer.headers.get("host", ""), secure=peer.secure):
            return
        self._origins.refused(origin)
        said = f'pages of "{origin}" may not use the cookies of this server'
        raise OriginRefused(said, hint=SETTING_HINT, origin=origin)


def expired() -> TokenExpired:
    """What somebody is told whose token has ended, at whichever door."""
    return TokenExpired("The token has expired.", hint="Bring a new one.")


def _text_digest(token: str | None) -> str | None:
    """What a token is revoked by."""
    return None if token is None else token_digest(_unmade_up(token)).hex()


def _unmade_up(token: str) -> str:
    """What of a token nobody can write otherwise without its key: of a signed one (RFC 7519) all but the
    signature, whose text has several forms, and of which anybody makes another where it is ECDSA's."""
    signed, _, _ = token.rpartition(".")
    head, _, claims = signed.partition(".")
    if not claims or "." in claims:
        return token
    try:
        told: Any = orjson.loads(base64.urlsafe_b64decode(head + "=="))
    except ValueError:
        return token
    return signed if isinstance(told, dict) and "alg" in told else token


def _is_of_the_browser(peer: Peer) -> bool:
    """Whether its header `Authorization` may be one that a browser adds by itself."""
    scheme = peer.headers.get("authorization", "").partition(" ")[0]
    return peer.given is None and scheme.lower() in _BROWSERS_OWN


def _question(peer: Peer, token: str | None, cookies: dict[str, str]) -> AuthQuestion:
    """What is asked about a peer. Where it gave a token in band, its request tells of no other."""
    headers, query, url = peer.headers, peer.query, peer.url
    if peer.given is not None:
        headers = {**headers, "authorization": f"Bearer {peer.given}"}
        headers.pop("sec-websocket-protocol", None)
        query.pop(TOKEN_PARAMETER, None)
        url = _without_token(url)
    return AuthQuestion(token, headers, cookies, query, url, peer.kind)


def _without_token(url: str) -> str:
    """A path and query without the parameter that brings a token."""
    path, mark, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) != TOKEN_PARAMETER]
    return path + (mark + "&".join(pairs) if pairs else "")


def _known_by(context: bytes, leeway: float) -> _Known:
    """The name by which somebody is found again is the context's `user`, else its `sub`."""
    members = cast("dict[str, Any]", orjson.loads(context))
    expires = members.get("exp")
    ends = None if expires is None else expires + leeway
    return _Known(context, _identity(members), ends, members.get("iat"))


def _identity(members: dict[str, Any]) -> str | None:
    for name in ("user", "sub"):
        value = members.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None
