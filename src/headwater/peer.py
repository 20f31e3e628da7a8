"""Who asks: one frozen type for HTTP requests, sockets, event streams and runs alike.

Owns how a request names its cookies, its query and its token, and what stands for a token that is kept; knows
no transport. A socket lives long, so headers may be packed: they are read when they are asked for, and an
idle client costs their bytes alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from headwater.config import ServiceToken

PeerKind = Literal["http", "websocket", "sse", "run"]

MOST_PARAMETERS = 1000
"""Parameters of one query, or fields of one form."""

SUBPROTOCOL = "Authorization"
"""Browsers cannot set headers of a socket; so a client offers this subprotocol and then its token as
another."""

TOKEN_PREFIX = "headwater.token."  # noqa: S105 - what begins a subprotocol
"""So begins the subprotocol by which clients of protocol v1 bring their token."""

TOKEN_PARAMETER = "authToken"  # noqa: S105 - a parameter's name
"""The query parameter that carries a token where no header can."""

SHORTEST_TOKEN = 16
"""Characters of a token that settings hold: 16 random hexadecimal digits are 64 bits, too many to be guessed
over a network."""

_NOTHING: Mapping[str, str] = MappingProxyType({})

Values = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks. `headers` have lower-case names, `address` is the host it came from ("" where there is none),
    `url` the path and query as they came in. `identity` and `context` are who it is, once somebody has said
    so: a name, and the project's own words as the JSON text of an object. `secure`: it is known to have come
    by TLS, to this server or to a trusted proxy; False says nothing. `expires` is when the context ends, in
    seconds since 1970; None is never. `given` is a token that came later, in band, and counts instead of
    those that its request brought. `operator`: the server's operator asks, whom no rule of the project
    binds."""

    kind: PeerKind
    url: str = ""
    address: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    identity: str | None = None
    context: bytes | None = None
    secure: bool = False
    expires: float | None = None
    given: str | None = field(default=None, repr=False)
    operator: bool = False
    service: ServiceToken | None = None
    """The other backend that it is, which does what its token is for."""

    @property
    def query(self) -> Values:
        """The parameters of the query: text, or a list where a name repeats; nothing for one that cannot be
        read."""
        try:
            return read_parameters(urlsplit(self.url).query)
        except ValueError:
            return {}

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name; of those that share one, the first, which has the longest path."""
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.partition("=")
            if equals and name.strip():
                found.setdefault(name.strip(), _unquoted(value.strip()))
        return found

    @property
    def sent_token(self) -> str | None:
        """What it brings, as `token` is, but not what stands in an address, which ends up in logs."""
        if self.given is not None:
            return self.given
        headers = self.headers
        offered = offered_token(headers.get("sec-websocket-protocol", ""))
        return bearer_of(headers.get("authorization", "")) or offered or None

    @property
    def token(self) -> str | None:
        """What it brings to say who it is: what it gave in band; else the header `Authorization`, without
        "Bearer"; else the subprotocol that follows `Authorization` or that begins with `headwater.token.`;
        else the query's `authToken`. None where it brings none."""
        if self.given is not None:
            return self.given
        headers = self.headers
        return (
            bearer_of(headers.get("authorization", ""))
            or offered_token(headers.get("sec-websocket-protocol", ""))
            or _last(self.query.get(TOKEN_PARAMETER, ""))
            or None
        )


NOBODY = Peer("run")
"""A peer that nothing is known of: the server itself, a test."""


class PackedHeaders(Mapping[str, str]):
    """Header lines as bytes, read anew each time: long-lived peers are many and seldom asked."""

    __slots__ = ("_lines",)

    def __init__(self, lines: bytes) -> None:
        self._lines = lines

    def read(self) -> dict[str, str]:
        """All of them, by lower-case name."""
        pairs = (line.partition(b":") for line in self._lines.split(b"\r\n") if line)
        return read_headers((name.strip().lower(), value.strip()) for name, _, value in pairs)

    def __getitem__(self, name: str) -> str:
        return self.read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name, given in lower case; what repeats is joined with ", ", cookies with "; "."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        text = value.decode("latin-1")
        if key in headers:
            text = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{text}"
        headers[key] = text
    return headers


def read_parameters(query: str) -> Values:
    """The parameters of a query: text, or a list where a name repeats. Blank values stay.

    :raises ValueError: there are more than `MOST_PARAMETERS`.
    """
    return collect(parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS))


def collect(pairs: Iterable[tuple[str, str]]) -> Values:
    """Pairs by name, in order; the values of a name that repeats become a list."""
    values: Values = {}
    for name, value in pairs:
        before = values.get(name)
        if before is None:
            values[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            values[name] = [before, value]
    return values


def token_digest(token: str) -> bytes:
    """What stands for a token wherever one is kept or compared: no secret is, and it has one length, so that
    a comparison tells nothing of the token's. Whoever makes it and whoever looks for it do so here."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def bearer_of(value: str) -> str:
    """What a header `Authorization` brings, without "Bearer"; "" for nothing."""
    scheme, space, rest = value.strip().partition(" ")
    return rest.strip() if space and scheme.lower() == "bearer" else value.strip()


def offered_token(subprotocols: str) -> str:
    """The token among the subprotocols that a socket offers: the one that begins with `headwater.token.`, or
    the one after `Authorization`; "" for none."""
    offers = [offer.strip() for offer in subprotocols.split(",")]
    for at, offer in enumerate(offers):
        if offer.startswith(TOKEN_PREFIX):
            return offer.removeprefix(TOKEN_PREFIX)
        if offer == SUBPROTOCOL:
            return next((following for following in offers[at + 1 :] if following), "")
    return ""


def is_old_pair(subprotocols: str, token: str) -> bool:
    """Whether a socket offers the old clients' pair with this token, and nothing else."""
    return [offer.strip() for offer in subprotocols.split(",")] == [SUBPROTOCOL, token]


def _last(value: str | list[str]) -> str:
    return value if isinstance(value, str) else value[-1]


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
