"""Which pages may do what a browser lets any page do unasked, open a socket or send a plain POST, and which
may read the answers.

A browser sends the page's origin with both and asks nobody; so a page from elsewhere could read or stop a
developer's work unless the server looks. Owns the rules, and the line of the log about an origin that was
refused: the page itself is told nothing that its author could act on. HTTP and sockets ask here, and so read
`[server] cors_origins` alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from headwater.config import ServerSettings
from headwater.errors import ConfigError
from headwater.server.http.authority import (
    DEFAULT_PORTS,
    Origin,
    is_loopback,
    read_authority,
    read_origin,
)

log = logging.getLogger("headwater.http")

ANY = "*"
OPAQUE = "null"
"""What a browser calls the origin of a page that has none, as one opened from a file."""

MOST_TOLD = 100
"""Origins that the log tells of at most: strangers make them up."""

SETTING_HINT = "add the origin to cors_origins in [server] of headwater.toml"


def origin_fault(text: str) -> tuple[str, str] | None:
    """What is wrong with an entry of `cors_origins`, and what to write instead; None: nothing is."""
    name = text.strip()
    if name in (ANY, OPAQUE) or read_origin(text) is not None:
        return None
    hint = 'An origin is a scheme and a host, as "https://app.example.com"; "*" alone means all.'
    if "://" not in text and read_authority(name.rstrip("/")) is not None:
        hint = f'Write "https://{name}" or "http://{name}": an origin has a scheme.'
        return f'"{text}" lacks its scheme.', hint
    if "*" in text:
        return f'"{text}" matches no page: a star cannot stand for a part.', hint
    return f'"{text}" is no origin.', hint


class NamedOrigins:
    """What `cors_origins` lists."""

    def __init__(self, settings: Iterable[str]) -> None:
        """Read the list.

        :raises ConfigError: an entry would never match.
        """
        self.any = self._opaque = False
        self._named: set[Origin] = set()
        for text in settings:
            if (fault := origin_fault(text)) is not None:
                told = f"[server] cors_origins: {fault[0]}"
                raise ConfigError(told, hint=fault[1], setting="server.cors_origins")
            self.any |= text.strip() == ANY
            self._opaque |= text.strip() == OPAQUE
            if (origin := read_origin(text)) is not None:
                self._named.add(origin)
        self.empty = not (self._named or self.any or self._opaque)

    def allow(self, origin: str) -> bool:
        """Whether an Origin header is one of them."""
        return self.any or self.name(origin)

    def name(self, origin: str) -> bool:
        """Whether it is one of them by its own name, not by the star that means everybody."""
        return (self._opaque and origin == OPAQUE) or read_origin(origin) in self._named


class Origins:
    """The rules of one server. In `dev`, pages of this machine are a developer's own."""

    def __init__(self, server: ServerSettings, *, dev: bool = False) -> None:
        """:raises ConfigError: an entry of `cors_origins` would never match."""
        self.named = NamedOrigins(server.cors_origins)
        self.dev = dev
        self._for_this_machine = is_loopback(server.host)
        self._told: set[str] = set()

    def allows(self, origin: str, host: str, *, secure: bool = False) -> bool:
        """Whether pages of an origin may, at a server that was addressed as `host`: the server's own pages;
        pages of this machine while the server is for this machine only, or in `dev` (a front end's
        development server has another port), and was addressed so; and what `cors_origins` lists. `secure`:
        the request came by TLS, so that a page of the same name that did not is another's: whoever sits
        between can write it."""
        return self.lists(origin) or self.is_own(origin, host, secure=secure) or self._is_near(origin, host)

    def trusts(self, origin: str, host: str, *, secure: bool = False) -> bool:
        """Whether pages of an origin may act for the user whose browser shows them, with the cookies that it
        adds by itself: those that `allows` has, but for whom "*" lets in. That star is for what is
        everybody's."""
        return (
            self.named.name(origin) or self.is_own(origin, host, secure=secure) or self._is_near(origin, host)
        )

    def shares(self, origin: str, host: str) -> bool:
        """Whether pages of an origin may read answers: what `cors_origins` lists, and in `dev` pages of this
        machine."""
        return self.lists(origin) or (self.dev and self._is_near(origin, host))

    def lists(self, origin: str) -> bool:
        """Whether `cors_origins` lists an origin, or all."""
        return self.named.allow(origin)

    def is_own(self, origin: str, host: str, *, secure: bool = False) -> bool:
        """Whether it is that of the server's own pages."""
        page, here = read_origin(origin), read_authority(host)
        if page is None or here is None or (secure and page.scheme == "http"):
            return False
        return (here.name, here.port or DEFAULT_PORTS.get(page.scheme)) == (page.name, page.port)

    def _is_near(self, origin: str, host: str) -> bool:
        page, here = read_origin(origin), read_authority(host)
        if not (self._for_this_machine or self.dev) or here is None or not is_loopback(here.name):
            return False  # Behind a proxy a server that listens on loopback is for everybody.
        return page is not None and is_loopback(page.name)

    def refused(self, origin: str) -> None:
        """Tell the log, once for each origin, that its pages were refused and what lets them in."""
        if origin not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(origin)
            if origin == OPAQUE:  # Of a file, or in a sandbox: such pages cannot be told apart.
                log.warning("A page without an origin was refused; serve it over HTTP, not as a file")
                return
            shown = ascii(origin[:200])[1:-1]
            log.warning('Pages of "%s" were refused; if they are yours, %s', shown, SETTING_HINT)
