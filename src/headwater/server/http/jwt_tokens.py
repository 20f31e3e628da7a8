"""Tokens that say themselves who asks: signed claims (JWT, RFC 7519), checked by a key, without the project.

Owns what of a token is believed: its claims, once the signature is right for the key's own algorithm and they
are meant for us and issued by whom we trust. Of its head only the names of algorithm and key are looked at;
keys and addresses in it mean nothing. When claims end is judged by whoever asks, as of every context.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import orjson

from headwater.config import AuthSettings
from headwater.errors import ConfigError, HeadwaterError, TooLarge, Unauthenticated
from headwater.logline import Line, tell
from headwater.observe import SILENT, Observer, tell_limit
from headwater.server.http.jwt_keys import Keys, KeySet, OneKey, fetching
from headwater.steps.project.triggers.authenticate import AuthQuestion, check_times

log = logging.getLogger("headwater.access")

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")

MOST_TOKEN_BYTES = 16 * 1024
"""Of a token: above it nothing is decoded."""


class JwtTokens:
    """Says who asks by the claims of their token; see AskWho."""

    def __init__(
        self, keys: Keys, settings: AuthSettings, now: Callable[[], float], observer: Observer = SILENT
    ) -> None:
        self.keys = keys
        self._settings = settings
        self._now = now
        self._observer = observer
        self._options: Any = {
            "require": list(settings.jwt_require),
            "verify_exp": False,  # These three are looked at below, by the clock of the server.
            "verify_nbf": False,
            "verify_iat": False,
        }

    async def ask(self, asked: AuthQuestion) -> bytes | None:
        """The claims of a token as JSON text; None where there is no token.

        :raises Unauthenticated: the token is not believed.
        :raises AuthUnavailable: there are no keys to check it by.
        """
        if asked.token is None:
            return None
        try:
            return self._context(await self._claims(asked.token))
        except (jwt.PyJWTError, RecursionError) as fault:
            self._tell(type(fault).__name__)
        except Unauthenticated as fault:
            self._tell(fault.message)
        except TooLarge as fault:
            tell_limit(self._observer, fault)
            self._tell(fault.message)
        raise Unauthenticated("The token is not valid here.", hint="Bring a token that is valid, or none.")

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MOST_TOKEN_BYTES:
            raise Unauthenticated(f"it has more than {MOST_TOKEN_BYTES} bytes")
        head = jwt.get_unverified_header(token)
        algorithm, name = head.get("alg"), head.get("kid")
        if algorithm not in self._settings.jwt_algorithms:
            raise Unauthenticated("its algorithm is not allowed")
        if "crit" in head:
            raise Unauthenticated("its head asks for what is not understood")
        key = await self.keys.find(name, algorithm)
        if key is None:
            raise Unauthenticated("no key is known for it")
        allowed = self._settings
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=list(allowed.jwt_audience) or None,
            issuer=list(allowed.jwt_issuer) or None,
            options=self._options,
        )

    def _context(self, claims: dict[str, Any]) -> bytes:
        try:
            check_times(claims, ("exp", "iat", "nbf"))
        except HeadwaterError as fault:
            raise Unauthenticated(fault.message) from None
        latest = self._now() + self._settings.jwt_leeway
        if any(claims.get(name) is not None and claims[name] > latest for name in ("nbf", "iat")):
            raise Unauthenticated("it is of the future")
        text, most = orjson.dumps(claims), self._settings.max_context_bytes
        if len(text) > most:
            raise TooLarge(f"its claims have {len(text)} bytes", size=len(text), limit=most).at(
                "auth.max_context_bytes", most
            )
        return text

    def _tell(self, why: str) -> None:
        """Say in the log what is never told whoever brings a token that is not believed."""
        tell(log, logging.INFO, Line(flood="token refused"), "A token is refused: %s", why)


def jwt_tokens(
    settings: AuthSettings, root: Path, now: Callable[[], float], observer: Observer = SILENT
) -> JwtTokens:
    """What the settings ask for; `root` is the project's folder.

    :raises ConfigError: a key, or what it is for, cannot be used.
    """
    given = [name for name in ("jwt_key", "jwt_key_file", "jwt_jwks") if getattr(settings, name)]
    if len(given) > 1:
        raise ConfigError(f"[auth] {' and '.join(given)} both give keys.", hint="Keep one of them.")
    for name in settings.jwt_algorithms:
        if name not in ALGORITHMS:
            hint = f"Those are {', '.join(ALGORITHMS)}."
            raise ConfigError(f'auth.jwt_algorithms: "{name}" is no algorithm for tokens.', hint=hint)
    return JwtTokens(_keys(settings, root, given[0]), settings, now, observer)


def _keys(settings: AuthSettings, root: Path, given: str) -> Keys:
    algorithms = settings.jwt_algorithms
    if given == "jwt_jwks":
        fetch = fetching(settings.jwt_jwks, root)
        return KeySet(fetch, algorithms, settings.jwt_refresh)
    if given == "jwt_key":
        return OneKey(settings.jwt_key, algorithms, "auth.jwt_key")
    try:
        text = (root / settings.jwt_key_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        said = f"auth.jwt_key_file: {settings.jwt_key_file} cannot be read: {fault}"
        raise ConfigError(said, hint="It is relative to the project's folder.") from None
    return OneKey(text, algorithms, "auth.jwt_key_file")
