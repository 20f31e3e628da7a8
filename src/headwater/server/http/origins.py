"""Which pages may do what a browser lets any page do unasked: open a socket, send a plain POST.

A browser sends the page's origin with both and asks nobody; so a page from elsewhere could read or stop a
developer's work unless the server looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from headwater.config import ServerSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def named_origins(settings: Iterable[str]) -> frozenset[str]:
    """The origins that `cors_origins` lists, in lower case and as browsers write them."""
    return frozenset(origin.strip().rstrip("/").lower() for origin in settings)


class Origins:
    """The rules of one server."""

    def __init__(self, server: ServerSettings) -> None:
        self._named = named_origins(server.cors_origins)
        self._for_this_machine = server.host in _LOOPBACK

    def allows(self, origin: str, host: str) -> bool:
        """Whether pages of an origin may, at a server that was addressed as `host`: the server's own pages;
        pages of this machine while the server is for this machine only (a front end's development server has
        another port); and what `cors_origins` lists."""
        if "*" in self._named or origin.lower() in self._named:
            return True
        try:
            parts = urlsplit(origin)
            name, _ = parts.hostname, parts.port
        except ValueError:  # No URL, or a port that is no number: no browser sends such.
            return False
        if name and parts.netloc.lower() == host.lower():
            return True
        return name in _LOOPBACK and self._for_this_machine
