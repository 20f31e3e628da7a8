"""By which names a server may be addressed, and what the settings may say of it."""

from __future__ import annotations

import pytest

from headwater.config import ServerSettings
from headwater.errors import ConfigError, HostRefused, RequestInvalid
from headwater.server.http.hosts import Hosts


def takes(host: str, *allowed: str, on: str = "127.0.0.1") -> bool:
    try:
        Hosts(ServerSettings(host=on, allowed_hosts=allowed)).check(host)
    except HostRefused:
        return False
    return True


LOOPBACK = [
    "localhost",
    "LOCALHOST:3000",
    "localhost.",
    "127.0.0.1:3000",
    "127.9.9.9",
    "[::1]:3000",
    "app.localhost",
]
ELSEWHERE = [
    "evil.example",
    "evil.example:3000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "0.0.0.0",
    "",
]


@pytest.mark.parametrize("on", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_a_server_on_loopback_is_addressed_by_names_of_this_machine(on: str) -> None:
    assert all(takes(host, on=on) for host in LOOPBACK)
    assert not any(takes(host, on=on) for host in ELSEWHERE)


@pytest.mark.parametrize("on", ["0.0.0.0", "::", "192.0.2.7", "app.example"])
def test_a_server_on_a_network_is_addressed_by_any_name_unless_some_are_listed(on: str) -> None:
    assert all(takes(host, on=on) for host in LOOPBACK + ELSEWHERE)
    assert takes("app.example", "app.example", on=on)
    assert takes("localhost:3000", "app.example", on=on)
    assert not takes("evil.example", "app.example", on=on)


@pytest.mark.parametrize(
    ("host", "allowed", "taken"),
    [
        ("api.example.com", "api.example.com", True),
        ("API.example.com.:8443", "api.Example.com", True),
        ("api.example.com:8443", "api.example.com:8443", True),
        ("api.example.com", "api.example.com:8443", False),
        ("api.example.com", "example.com", False),
        ("api.example.com", ".example.com", True),
        ("example.com", ".example.com", True),
        ("badexample.com", ".example.com", False),
        ("192.0.2.1:80", "192.0.2.1", True),
        ("[2001:db8::1]:80", "[2001:db8::1]", True),
        ("anything.example", "*", True),
    ],
)
def test_listed_names_are_taken(host: str, allowed: str, taken: bool) -> None:
    assert takes(host, allowed) is taken


@pytest.mark.parametrize("entry", ["http://api.example.com", "a b", "", "api.example.com/x", "*.example.com"])
def test_an_entry_that_would_never_match_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Hosts(ServerSettings(allowed_hosts=(entry,)))
    assert "allowed_hosts" in caught.value.message
    assert "api.example.com" in caught.value.hint


@pytest.mark.parametrize("host", ["a b", "a/b", "u@a", "a:b", "[::1", "a:123456", "x" * 400])
def test_what_is_no_host_is_no_request(host: str) -> None:
    for on in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(RequestInvalid):
            Hosts(ServerSettings(host=on)).check(host)


def test_the_first_refused_name_is_told_with_the_setting_to_change(caplog: pytest.LogCaptureFixture) -> None:
    hosts = Hosts(ServerSettings())
    for host in ("evil.example", "evil.example", "other.example"):
        with pytest.raises(HostRefused):
            hosts.check(host)
    (record,) = caplog.records
    assert "evil.example" in record.getMessage()
    assert "allowed_hosts in [server]" in record.getMessage()
