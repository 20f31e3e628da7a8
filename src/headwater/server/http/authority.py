"""How the name of a server and the origin of a page are read: once, so that a setting means the same wherever
it is looked at. Pure. Owns the syntax; who may do what is `origins.py`'s and `hosts.py`'s.

Names are compared in lower case and without a final dot, addresses of IPv6 in their shortest form, ports with
what their scheme means by none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

MOST_BYTES = 300
"""Of a name with its port; those of DNS have at most 253."""

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:@/?#\\,*]+)(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)")


class Authority(NamedTuple):
    """A name or address, and the port if one was written."""

    name: str
    port: int | None


class Origin(NamedTuple):
    """Where a page comes from, its port never left out where the scheme has one by default."""

    scheme: str
    name: str
    port: int | None


@lru_cache(256)
def read_authority(text: str) -> Authority | None:
    """What a Host header names; None if it is none."""
    found = _AUTHORITY.fullmatch(text.strip().lower()) if len(text) <= MOST_BYTES else None
    if found is None:
        return None
    name, port = found[1].strip("[]"), found[2]
    if ":" in name:
        name = _shortest(name)
    if not name.endswith(".."):
        name = name.removesuffix(".")
    return Authority(name, int(port) if port else None) if name else None


def _shortest(address: str) -> str:
    """An address of IPv6 as browsers write it, whatever zeros it was given; what is none as it is."""
    try:
        return ip_address(address).compressed
    except ValueError:
        return address


@lru_cache(256)
def read_origin(text: str) -> Origin | None:
    """What an Origin header names; None if it is none, as "null" is."""
    found = _ORIGIN.fullmatch(text.strip().lower()) if len(text) <= MOST_BYTES else None
    authority = read_authority(found[2].removesuffix("/")) if found else None
    if found is None or authority is None:
        return None
    return Origin(found[1], authority.name, authority.port or DEFAULT_PORTS.get(found[1]))


def local_url(host: str, port: int, scheme: str = "http") -> str:
    """The address by which a client on this machine finds a server that listens at `host`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"


@lru_cache(256)
def is_loopback(name: str) -> bool:
    """Whether a name or address means this machine alone, and cannot be made to mean another by DNS."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    inner = None if isinstance(address, IPv4Address) else address.ipv4_mapped
    return (inner or address).is_loopback
