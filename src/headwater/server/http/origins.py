"""Which pages may do what a browser lets any page do unasked, open a socket or send a plain POST, and which
may read the answers.

A browser sends the page's origin with both and asks nobody; so a page from elsewhere could read or stop a
developer's work unless the server looks. Owns the rules, and the line of the log about an origin that was
refused: the page itself is told nothing that its author could act on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from headwater.config import ServerSettings

log = logging.getLogger("headwater.http")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

MOST_TOLD = 100
"""Origins that the log tells of at most: strangers make them up."""

SETTING_HINT = "add the origin to cors_origins in [server] of headwater.toml"


def named_origins(settings: Iterable[str]) -> frozenset[str]:
    """The origins that `cors_origins` lists, in lower case and as browsers write them."""
    return frozenset(origin.strip().rstrip("/").lower() for origin in settings)


class Origins:
    """The rules of one server. In `dev`, pages of this machine are a developer's own."""

    def __init__(self, server: ServerSettings, *, dev: bool = False) -> None:
        self.named = named_origins(server.cors_origins)
        self.dev = dev
        self._for_this_machine = server.host in _LOOPBACK
        self._told: set[str] = set()

    def allows(self, origin: str, host: str) -> bool:
        """Whether pages of an origin may, at a server that was addressed as `host`: the server's own pages;
        pages of this machine while the server is for this machine only, or in `dev` (a front end's
        development server has another port); and what `cors_origins` lists."""
        return self.lists(origin) or self.is_own(origin, host) or self._is_near(origin, host)

    def shares(self, origin: str, host: str) -> bool:
        """Whether pages of an origin may read answers: what `cors_origins` lists, and in `dev` pages of this
        machine."""
        return self.lists(origin) or (self.dev and self._is_near(origin, host))

    def lists(self, origin: str) -> bool:
        """Whether `cors_origins` lists an origin, or all."""
        return "*" in self.named or origin.lower() in self.named

    def is_own(self, origin: str, host: str) -> bool:
        """Whether it is that of the server's own pages."""
        return _name_of(origin) != "" and urlsplit(origin).netloc.lower() == host.lower()

    def _is_near(self, origin: str, host: str) -> bool:
        near = self._for_this_machine or (self.dev and _name_of(f"http://{host}") in _LOOPBACK)
        return near and _name_of(origin) in _LOOPBACK

    def refused(self, origin: str) -> None:
        """Tell the log, once for each origin, that its pages were refused and what lets them in."""
        if origin not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(origin)
            shown = ascii(origin[:200])[1:-1]
            log.warning('Pages of "%s" were refused; if they are yours, %s', shown, SETTING_HINT)


def _name_of(origin: str) -> str:
    """The name of an origin's host; "" for what no browser sends: no URL, or a port that is no number."""
    try:
        parts = urlsplit(origin)
        return (parts.hostname or "") if parts.port is None or parts.port >= 0 else ""
    except ValueError:
        return ""
