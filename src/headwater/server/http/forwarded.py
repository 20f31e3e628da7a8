"""What proxies in front say of a request: who sent it, and what its browser asked for. Pure. Owns the headers
`X-Forwarded-*` and `Forwarded` (RFC 7239) and the rule whom they are believed: a stranger writes them as
well.

Each proxy adds, at the right, whom it heard. So the walk begins at the connection's own peer and goes left
for as long as a trusted proxy says who was before it; what lies further left is only claimed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from headwater.config import ServerSettings
from headwater.errors import ConfigError, RequestInvalid
from headwater.server.http.cors import Header

_FAMILY = b"x-forwarded-"
_ALONE = frozenset({b"forwarded", b"x-real-ip"})

MOST_PROXIES = 32
"""That a request may have come through."""

MOST_PAIRS = 200
"""Of `Forwarded`, over all its elements: to read one costs some 2 us, and a head has room for thousands."""

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's word for a name
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PAIR = re.compile(rf"\s*({_TOKEN})=({_TOKEN}|{_QUOTED})\s*(;|,|$)")
_GAP = re.compile(r"[\s,]*")


def proxy_fault(text: str) -> tuple[str, str] | None:
    """What is wrong with an entry of `trusted_proxies`, and what to write instead; None: nothing is."""
    name = text.strip()
    try:
        ip_network(name)
    except ValueError:
        pass
    else:
        return None
    hint = 'A proxy is an address or a network, as "127.0.0.1", "10.0.0.0/8" or "fd00::/8".'
    try:
        return f'"{text}" has bits beyond its mask.', f'Write "{ip_network(name, strict=False)}".'
    except ValueError:
        return f'"{text}" is neither an address nor a network.', hint


def prefix_fault(text: str) -> tuple[str, str] | None:
    """What is wrong with `root_path`, and what to write instead; None: nothing is."""
    if not text or read_prefix(text) is not None:
        return None
    return (
        f'"{text}" is no path prefix.',
        'Write it as "/app": from a slash on, percent-encoded, no slash last.',
    )


def read_prefix(text: str) -> str | None:
    """A path prefix, without a slash at its end; None if it is none. "//host" would be another server."""
    name = text.strip().rstrip("/")
    fits = _PREFIX.fullmatch(name) and not any(part in (".", "..") for part in name.split("/"))
    return name if fits else None


class Origination(NamedTuple):
    """What is believed of a request. `scheme` is "http" or "https", `host` as a Host header (None: as the
    request's own), `prefix` the path that proxies took off ("" for none)."""

    address: str
    scheme: str
    host: str | None
    prefix: str


class Proxies:
    """The proxies of one server."""

    def __init__(self, server: ServerSettings) -> None:
        """Read `[server] trusted_proxies`.

        :raises ConfigError: an entry is no address and no network.
        """
        self._networks: list[IPv4Network | IPv6Network] = []
        for text in server.trusted_proxies:
            if (fault := proxy_fault(text)) is not None:
                told = f"[server] trusted_proxies: {fault[0]}"
                raise ConfigError(told, hint=fault[1], setting="server.trusted_proxies")
            self._networks.append(ip_network(text.strip()))
        self.any = bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Whether an address is that of a proxy of ours."""
        found = _read_address(address) if self.any else None
        return found is not None and any(found in network for network in self._networks)

    def read(self, headers: Sequence[Header], address: str, scheme: str) -> Origination:
        """What the proxy at `address`, which is trusted, says of a request that came by `scheme`.

        :raises RequestInvalid: `Forwarded` cannot be read, or the two kinds of headers contradict each other:
            a proxy writes one of them, and lets through what a stranger wrote in the other.
        """
        usual = self._usual(headers, address, scheme)
        standard = self._standard(headers, address, scheme)
        if usual is None or standard is None:
            return usual or standard or Origination(address, scheme, None, _prefix(headers, 1))
        if usual != standard:
            told = "Forwarded and X-Forwarded-* say different things of this request"
            raise RequestInvalid(told, hint="let the proxy remove the one that it does not write")
        return usual

    def _usual(self, headers: Sequence[Header], address: str, scheme: str) -> Origination | None:
        """By `X-Forwarded-For`, `-Proto` and `-Host`; None where there is none of them. A header that
        has one value for all proxies holds for the outermost."""
        sources = _listed(headers, b"x-forwarded-for")
        schemes, hosts = _listed(headers, b"x-forwarded-proto"), _listed(headers, b"x-forwarded-host")
        if not (sources or schemes or hosts):
            return None
        address, told = self._walk(address, sources)
        own = _SCHEMES.get(_at(schemes, told).lower(), scheme)
        return Origination(address, own, _at(hosts, told) or None, _prefix(headers, told))

    def _standard(self, headers: Sequence[Header], address: str, scheme: str) -> Origination | None:
        """By `Forwarded`; None where there is none."""
        elements = _elements([value for name, value in headers if name == b"forwarded"])
        if not elements:
            return None
        address, told = self._walk(address, [element.get("for", "") for element in elements])
        outermost = elements[-told]
        own = _SCHEMES.get(outermost.get("proto", "").lower(), scheme)
        return Origination(address, own, outermost.get("host") or None, _prefix(headers, told))

    def _walk(self, address: str, sources: Sequence[str]) -> tuple[str, int]:
        """The last address that is believed, and how many proxies told of one: at least the one that is
        connected. A proxy that hides whom it heard stands for them. What lies behind is not even read: a
        stranger writes thousands of it.

        :raises RequestInvalid: there are more proxies than there can be.
        """
        told = 0
        for text in reversed(sources):
            if told == MOST_PROXIES:
                raise RequestInvalid(f"the request came through more than {MOST_PROXIES} proxies")
            source = _written(_read_node(text))
            told += 1
            if source is None:
                break
            address = source
            if not self.trusts(source):
                break
        return address, max(told, 1)


def is_claim(name: bytes) -> bool:
    """Whether a header, its name in lower case, is one by which proxies tell of a request."""
    return name.startswith(_FAMILY) or name in _ALONE


def _written(address: IPv4Address | IPv6Address | None) -> str | None:
    return None if address is None else str(address)


def _read_node(text: str) -> IPv4Address | IPv6Address | None:
    """An address, perhaps with a port; None where the proxy hides it ("unknown", "_name") or it is none."""
    host, colon, port = text.strip().rpartition(":")
    if text.strip().startswith("["):
        host = text.strip()[1:].partition("]")[0]
    elif not (colon and ":" not in host and port.isdecimal()):
        host = text
    return _read_address(host)


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as it is compared and shown: without the zone of a link, an IPv4 one never inside IPv6."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    inner = None if isinstance(address, IPv4Address) else address.ipv4_mapped
    return inner or address


def _listed(headers: Iterable[Header], wanted: bytes) -> list[str]:
    """What a header lists, over all its lines."""
    lines = [value.decode("latin-1") for name, value in headers if name == wanted]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _at(values: Sequence[str], told: int) -> str:
    """The value of the outermost of so many proxies."""
    return values[-min(told, len(values))] if values else ""


def _prefix(headers: Iterable[Header], told: int) -> str:
    return read_prefix(_at(_listed(headers, b"x-forwarded-prefix"), told)) or ""


def _elements(lines: Iterable[bytes]) -> list[dict[str, str]]:
    """The elements of all lines of `Forwarded`: parameters by lower-case name.

    :raises RequestInvalid: a line has another syntax, or there are too many. Guessing where one ends would
        let a stranger's quote swallow what a proxy wrote.
    """
    found: list[dict[str, str]] = []
    left = MOST_PAIRS
    for line in lines:
        text = line.decode("latin-1")
        place, ends = _end_of_gap(text, 0), True
        while place < len(text):
            pair = _PAIR.match(text, place) if left else None
            left -= 1
            if pair is None:
                raise RequestInvalid(
                    "the header Forwarded cannot be read, or is too long",
                    hint="RFC 7239 says how it is written",
                )
            if ends:
                found.append({})
            found[-1].setdefault(pair[1].lower(), _unquoted(pair[2]))
            ends = pair[3] != ";"
            place = _end_of_gap(text, pair.end()) if ends else pair.end()
        if not ends:
            raise RequestInvalid("the header Forwarded ends within an element")
    return found


def _end_of_gap(text: str, place: int) -> int:
    found = _GAP.match(text, place)
    return found.end() if found else place


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
