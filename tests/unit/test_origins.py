"""One list of origins, read in one way for HTTP and for sockets."""

from __future__ import annotations

import pytest

from headwater.config import ServerSettings
from headwater.errors import ConfigError
from headwater.server.http.cors import Cors
from headwater.server.http.origins import Origins

APP = "https://app.example.com"


def answers(entry: str, origin: str) -> tuple[bool, bool]:
    """Whether an entry lets pages call over HTTP, and open sockets."""
    server = ServerSettings(host="0.0.0.0", cors_origins=(entry,))
    origins = Origins(server)
    told = dict(Cors(origins).headers("/x", {"origin": origin, "host": "api.example.com"}))
    return b"access-control-allow-origin" in told, origins.allows(origin, "api.example.com")


@pytest.mark.parametrize(
    ("entry", "origin"),
    [
        (APP, APP),
        (f"{APP}/", APP),
        (f" {APP} ", APP),
        ("https://App.Example.com", APP),
        ("HTTPS://app.example.com.", APP),
        (f"{APP}:443", APP),
        (APP, f"{APP}:443"),
        ("http://app.example.com:80/", "http://app.example.com"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://[0:0:0:0:0:0:0:1]:5173", "http://[::1]:5173"),
        ("http://[2001:DB8:0::01]", "http://[2001:db8::1]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
        ("*", "https://any.example"),
        ("*", "null"),
    ],
)
def test_what_means_the_same_is_the_same(entry: str, origin: str) -> None:
    assert answers(entry, origin) == (True, True)


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example.com",
        f"{APP}:8443",
        "https://example.com",
        "https://app.example.com.evil.example",
        "https://evil.example/app.example.com",
        "app.example.com",
        "null",
        "",
    ],
)
def test_what_is_another_origin_is_refused(origin: str) -> None:
    assert answers(APP, origin) == (False, False)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("app.example", 'Write "https://app.example"'),
        ("localhost:5173", 'Write "https://localhost:5173" or "http://localhost:5173"'),
        ("https://*.example.com", "a scheme and a host"),
        (f"{APP}/path", "a scheme and a host"),
        ("", "a scheme and a host"),
        ("https://", "a scheme and a host"),
    ],
)
def test_an_entry_that_would_never_match_is_refused(entry: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Origins(ServerSettings(cors_origins=(APP, entry)))
    assert f'"{entry}"' in caught.value.message
    assert says in caught.value.hint


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://app.example", "app.example", True),
        ("http://app.example", "app.example:80", True),
        ("https://app.example", "app.example:443", True),
        ("https://app.example:443", "app.example", True),
        ("http://App.example:3000", "app.example:3000", True),
        ("http://[::1]:3000", "[::1]:3000", True),
        ("https://app.example", "app.example:80", False),
        ("http://app.example", "app.example:3000", False),
        ("http://app.example:3000", "app.example", False),
        ("http://a", "", False),
    ],
)
def test_pages_of_the_server_itself_are_its_own(origin: str, host: str, own: bool) -> None:
    assert Origins(ServerSettings(host="0.0.0.0")).allows(origin, host) is own


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://app.example", "app.example", True),
        ("http://app.example", "app.example", False),
        ("http://app.example:3000", "app.example:3000", False),
        ("http://listed.example", "listed.example", True),
    ],
)
def test_behind_tls_a_plain_page_of_the_same_name_is_another_s(origin: str, host: str, allowed: bool) -> None:
    origins = Origins(ServerSettings(host="0.0.0.0", cors_origins=("http://listed.example",)))
    assert origins.allows(origin, host, secure=True) is allowed


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:3000", True),
        ("localhost", True),
        ("[::1]:3000", True),
        ("app.example", False),
        ("", False),
    ],
)
def test_pages_of_this_machine_may_where_this_machine_was_addressed(
    host: str, allowed: bool, dev: bool
) -> None:
    """Behind a proxy a server that listens on loopback is for everybody, and a page of a visitor's own
    machine is nobody's there."""
    origins = Origins(ServerSettings(allowed_hosts=("app.example",)), dev=dev)
    assert origins.allows("http://localhost:5173", host) is allowed
    assert origins.trusts("http://localhost:5173", host) is allowed
