"""Who asks, and who may do what.

Each class is a table of `headwater.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.config.declaring import KIB, setting


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
    max_context_bytes: int = setting(
        8 * KIB, "Largest answer of `authenticate`, in bytes of JSON; one above it refuses.", least=1
    )


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """What an operator may ask over HTTP: queues, runs, and what the server does. In `dev` this machine may;
    else whoever brings the token."""

    enabled: bool = setting(True, "Whether it is there at all, under /headwater/admin.")
    token: str = setting(
        "",
        "The token that opens it, given as `Authorization: Bearer`, of at least 16 characters. Empty: nobody "
        "may, but this machine in `dev`; `start` refuses to listen on another address without one.",
        may_be_empty=True,
        secret=True,
    )
