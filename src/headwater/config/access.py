"""Who asks, and who may do what.

Each class is a table of `headwater.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headwater.config.declaring import KIB, setting


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """The token of another backend, which writes and reads without being asked about: a table
    `[auth.service_tokens.NAME]`. `digest` is the SHA-256 of the token, `streams` are names or "*" for all,
    `may` are verbs: read, write, send, delete, cancel."""

    name: str
    digest: bytes = field(repr=False)
    streams: frozenset[str]
    may: frozenset[str]

    def allows(self, verb: str, stream: str) -> bool:
        """Whether it is for that."""
        return verb in self.may and ("*" in self.streams or stream in self.streams)


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Who asks: what the project's `authenticate` is asked, and how often."""

    cookie: str = setting(
        "", "Cookie that brings a token where nothing else does; empty: none.", may_be_empty=True
    )
    cache: float = setting(
        0.0,
        "Seconds for which an answer of `authenticate` holds for further requests with the same token; 0 "
        "asks each time. For where the token alone decides the answer.",
        most=3600.0,
    )
    cache_size: int = setting(10_000, "Most tokens whose answers are held by `cache`.", least=1)
    expiring: float = setting(
        60.0,
        "Seconds before its token expires at which a client on a socket or an event stream is told; where it "
        "lasts for less than twice as long, half of that.",
        most=86_400.0,
    )
    revocation_age: float = setting(
        30 * 86_400.0,
        "Seconds for which the tokens of a revoked user stay refused: no less than the longest one lasts.",
        least=60.0,
    )
    max_revocations: int = setting(
        100_000, "Most users, tokens and groups that are revoked; above it no more can be.", least=1
    )
    jwt_key: str = setting(
        "",
        "Key by which tokens are checked that say themselves who asks (JWT), without an authenticator: a "
        'public key in PEM, or a secret of at least 32 bytes where `jwt_algorithms` is ["HS256"].',
        may_be_empty=True,
        secret=True,
    )
    jwt_key_file: str = setting(
        "", "File that holds that key instead, relative to the project.", may_be_empty=True
    )
    jwt_jwks: str = setting(
        "",
        "A set of keys (JWKS) instead: a file relative to the project, or an address of https. It is fetched "
        "again every `jwt_refresh` seconds, and when a token names a key that is not in it.",
        may_be_empty=True,
    )
    jwt_refresh: float = setting(300.0, "Seconds between two fetches of `jwt_jwks`.", least=1.0)
    jwt_algorithms: tuple[str, ...] = setting(
        ("RS256", "ES256", "EdDSA"),
        "Algorithms that tokens may be signed by; of a key only its own. HS256 goes alone.",
    )
    jwt_audience: tuple[str, ...] = setting(
        (), "Whom tokens may be meant for (`aud`), one of these. Empty: only tokens that do not say."
    )
    jwt_issuer: tuple[str, ...] = setting(
        (), "Who may have issued tokens (`iss`), one of these. Empty: anybody who has the key."
    )
    jwt_leeway: float = setting(
        0.0, "Seconds by which the issuer's clock may differ: a token lasts for so much longer.", most=600.0
    )
    jwt_require: tuple[str, ...] = setting(("exp",), "Claims that a token must have.")
    max_context_bytes: int = setting(
        8 * KIB, "Largest answer of `authenticate`, in bytes of JSON; one above it refuses.", least=1
    )
    service_tokens: tuple[ServiceToken, ...] = ()
    """Tables of their own, read by `cli/service_tokens.py`."""

    @property
    def claims(self) -> bool:
        """Whether tokens say themselves who asks."""
        return bool(self.jwt_key or self.jwt_key_file or self.jwt_jwks)


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """What an operator may ask over HTTP: queues, runs, numbers, what the server holds.

    In `dev` this machine may; else whoever brings the token."""

    enabled: bool = setting(True, "Whether it is there at all, under /headwater/admin.")
    token: str = setting(
        "",
        "The token that opens it, given as `Authorization: Bearer`, of at least 16 characters. Empty: nobody "
        "may, but this machine in `dev`; `start` refuses to listen on another address without one.",
        may_be_empty=True,
        secret=True,
    )
