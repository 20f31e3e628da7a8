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
    max_context_bytes: int = setting(
        8 * KIB, "Largest answer of `authenticate`, in bytes of JSON; one above it refuses.", least=1
    )
