"""Who may use the admin surface. Closed unless it is certain that an operator asks.

Owns the rule, which is not the project's: its users, streams and `authenticate` have no say in it. Knows no
method and no answer.
"""

from __future__ import annotations

import hmac

from headwater.config import Settings
from headwater.errors import ConfigError, OriginRefused, Unauthenticated
from headwater.peer import SHORTEST_TOKEN, Peer, bearer_of, offered_token, token_digest
from headwater.server.http.authority import is_loopback, read_authority
from headwater.server.http.origins import Origins

_ABOUT_CLIENTS = frozenset({"x-forwarded-for", "x-real-ip"})
_ABOUT_PROXIES = frozenset({"forwarded", "via", "cf-connecting-ip", "true-client-ip", "x-client-ip"})
"""Headers by which proxies tell of whom they heard, those that list addresses and others."""

_HINT = "Bring the [admin] token as `Authorization: Bearer TOKEN`."
_CLOSED = "Set [admin] token (or HEADWATER_ADMIN_TOKEN) and bring it as `Authorization: Bearer TOKEN`."
_MAKE = "`openssl rand -hex 24` makes one; HEADWATER_ADMIN_TOKEN in the environment or in .env is its place."


def check_admin(settings: Settings) -> None:
    """See that nobody is let in by mistake, before anything of the project or the store is touched.

    - A token that can be guessed is none.
    - A deployed server that others can reach says whom it lets in: a token, or that there is no such surface.

    :raises ConfigError: the server must not start like this.
    """
    admin, host = settings.admin, settings.server.host
    if not admin.enabled:
        return
    if admin.token and len(admin.token) < SHORTEST_TOKEN:
        told = f"[admin] token has fewer than {SHORTEST_TOKEN} characters."
        raise ConfigError(told, hint=_MAKE, setting="admin.token")
    if not admin.token and not settings.dev and not is_loopback(host):
        raise ConfigError(
            f"The server would listen on {host} for others, and its admin surface has no token.",
            hint=f"Set [admin] token, or [admin] enabled = false for none. {_MAKE}",
            setting="admin.token",
        )


class Admission:
    """The rule of one server."""

    def __init__(self, settings: Settings, origins: Origins) -> None:
        self._open_here = settings.dev
        self._token = token_digest(settings.admin.token) if settings.admin.token else None
        self._origins = origins

    @property
    def can_be_passed(self) -> bool:
        """Whether there is anybody whom it lets in."""
        return self._open_here or self._token is not None

    def admit(self, peer: Peer) -> None:
        """Let an operator in.

        - Whoever brings the token, from wherever: no page can bring it unless it was given it.
        - In `dev`, whoever asks from this machine, of this machine by name, and not from a page of elsewhere;
          what a proxy on this machine hands on for somebody else does not count.

        :raises Unauthenticated: it is none.
        :raises OriginRefused: it is a page of elsewhere.
        """
        brought = bearer_of(peer.headers.get("authorization", ""))
        if not brought and peer.kind == "websocket":  # A browser sets no header of a socket.
            brought = offered_token(peer.headers.get("sec-websocket-protocol", ""))
        if brought:
            if self._token is None or not hmac.compare_digest(token_digest(brought), self._token):
                raise Unauthenticated("This is not the admin token.", hint=_HINT if self._token else _CLOSED)
            return
        if not (self._open_here and self._is_here(peer)):
            raise Unauthenticated(
                "This is for the server's operator.", hint=_HINT if self._token else _CLOSED
            )
        self._check_page(peer)

    @staticmethod
    def _is_here(peer: Peer) -> bool:
        """Whether it asks from this machine, of this machine: a name that was made to mean it does not count,
        nor does what came through a proxy under another name."""
        named = read_authority(peer.headers.get("host", ""))
        if named is None or not is_loopback(named.name) or not is_loopback(peer.address):
            return False
        return all(_names_loopback(name, value) for name, value in peer.headers.items())

    def _check_page(self, peer: Peer) -> None:
        """A browser sends what any page asks it to; only pages of the server itself may ask here."""
        origin, host = peer.headers.get("origin"), peer.headers.get("host", "")
        foreign = peer.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if foreign or (origin is not None and not self._origins.is_own(origin, host, secure=peer.secure)):
            raise OriginRefused(
                "Pages of elsewhere may not ask what is for the server's operator.",
                hint=_HINT,
                origin=origin or "",
            )


def _names_loopback(name: str, value: str) -> bool:
    """Whether a header leaves it at this machine. A tunnel or a proxy that nobody said is trusted tells of
    the browser behind it here, and rewrites Host as it likes."""
    if name in _ABOUT_CLIENTS:
        return all(is_loopback(one.strip()) for one in value.split(","))
    if name == "x-forwarded-host":
        hosts = [read_authority(one) for one in value.split(",")]
        return all(host is not None and is_loopback(host.name) for host in hosts)
    return name not in _ABOUT_PROXIES
