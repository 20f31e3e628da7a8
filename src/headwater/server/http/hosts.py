"""By which names a server may be addressed. A server that listens on loopback alone is for this machine; but
a page of elsewhere can let its own name mean 127.0.0.1, and then it is, to the browser, a page of this
server's (DNS rebinding). What gives it away is the name that it asks for.
"""

from __future__ import annotations

import logging

from headwater.config import ServerSettings
from headwater.errors import ConfigError, HostRefused, RequestInvalid
from headwater.server.http.authority import Authority, is_loopback, read_authority

log = logging.getLogger("headwater.server")

ANY = "*"
MOST_SHOWN = 200
"""Characters of a refused name that are told."""


def host_fault(text: str) -> tuple[str, str] | None:
    """What is wrong with an entry of `allowed_hosts`, and what to write instead; None: nothing is."""
    name = text.strip()
    if name == ANY or read_authority(name.removeprefix(".")) is not None:
        return None
    hint = 'A host is a name or an address, as "api.example.com"; ".example.com" means all below it, too.'
    return f'"{text}" is no host.', hint


class Hosts:
    """The rules of one server. The first name that is refused is told in the log."""

    def __init__(self, server: ServerSettings) -> None:
        """Read `[server] host` and `allowed_hosts`.

        :raises ConfigError: an entry would never match.
        """
        self._for_this_machine = is_loopback(server.host)
        self._named: set[Authority] = set()
        self._below: list[str] = []
        self._any = not (self._for_this_machine or server.allowed_hosts)
        self._told = False
        for text in server.allowed_hosts:
            if (fault := host_fault(text)) is not None:
                raise ConfigError(
                    f"[server] allowed_hosts: {fault[0]}", hint=fault[1], setting="server.allowed_hosts"
                )
            self._any |= text.strip() == ANY
            self._allow(text.strip())

    def _allow(self, text: str) -> None:
        authority = read_authority(text.removeprefix("."))
        if authority is None:
            return
        self._named.add(authority)
        if text.startswith("."):
            self._below.append(f".{authority.name}")

    def check(self, host: str) -> None:
        """Whether the server may be addressed by what a Host header says.

        :raises RequestInvalid: it is no host.
        :raises HostRefused: it may not.
        """
        authority = read_authority(host)
        if authority is None and host.strip():
            raise RequestInvalid("the Host header names no host")
        if not self._any and (authority is None or not self._allows(authority)):
            self._refuse(host[:MOST_SHOWN])

    def _allows(self, host: Authority) -> bool:
        return (
            is_loopback(host.name)
            or host in self._named
            or host._replace(port=None) in self._named
            or any(host.name.endswith(suffix) for suffix in self._below)
        )

    def _refuse(self, host: str) -> None:
        hint = "add the name to allowed_hosts in [server] of headwater.toml"
        if not self._told:
            self._told = True
            why = "the server listens on this machine alone" if self._for_this_machine else "it is not listed"
            text = "A request for the host %r was refused, for %s: %s. Further ones are not told."
            log.warning(text, host, why, hint)
        raise HostRefused(f'the server is not to be addressed as "{host}"', hint=hint, host=host)
