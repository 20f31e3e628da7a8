"""What proxies say of a request, and who is believed."""

from __future__ import annotations

import pytest

from headwater.config import ServerSettings
from headwater.errors import ConfigError, RequestInvalid
from headwater.server.http import forwarded
from headwater.server.http.forwarded import (
    MOST_PAIRS,
    MOST_PROXIES,
    Origination,
    Proxies,
    is_claim,
    prefix_fault,
)

NEAR, FAR, CLIENT, LIAR = "10.0.0.1", "10.0.0.2", "203.0.113.9", "198.51.100.1"


def proxies(*trusted: str) -> Proxies:
    return Proxies(ServerSettings(trusted_proxies=trusted or ("10.0.0.0/8", "fd00::/8")))


def read(*lines: str, address: str = NEAR, scheme: str = "http") -> Origination:
    headers = [
        (name.lower().encode(), value.encode()) for name, value in (line.split(": ") for line in lines)
    ]
    return proxies().read(headers, address, scheme)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([], NEAR),
        ([f"X-Forwarded-For: {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {CLIENT}, {FAR}"], CLIENT),
        ([f"X-Forwarded-For: {LIAR}, {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {LIAR}, {CLIENT}, {FAR}"], CLIENT),
        ([f"X-Forwarded-For: {LIAR}", f"X-Forwarded-For: {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {FAR}, {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {LIAR}, {FAR}, {CLIENT}, {FAR}"], CLIENT),
        (["X-Forwarded-For: 10.9.9.9, 10.0.0.2"], "10.9.9.9"),
        ([f"X-Forwarded-For: {LIAR}, unknown"], NEAR),
        ([f"X-Forwarded-For: {LIAR}, unknown, {FAR}"], FAR),
        ([f"X-Forwarded-For: {LIAR}, 1.2.3.4.5"], NEAR),
        (["X-Forwarded-For: , ,"], NEAR),
        ([f"X-Forwarded-For: {CLIENT}:4711"], CLIENT),
        (["X-Forwarded-For: 2001:DB8::0:1"], "2001:db8::1"),
        (["X-Forwarded-For: [2001:db8::1]:4711"], "2001:db8::1"),
        ([f"X-Forwarded-For: {CLIENT}, ::ffff:10.0.0.2"], CLIENT),
        ([f"X-Forwarded-For: {CLIENT}, fd00::1%eth0"], CLIENT),
        ([f"X-Real-IP: {LIAR}"], NEAR),
        ([f"Forwarded: for={CLIENT}"], CLIENT),
        ([f"Forwarded: for={LIAR}, For={CLIENT};proto=https , for={FAR}"], CLIENT),
        (['Forwarded: for="[2001:db8::1]:4711"'], "2001:db8::1"),
        ([f"Forwarded: for={LIAR}, for=_hidden"], NEAR),
        ([f"Forwarded: for={LIAR}, proto=https"], NEAR),
        ([f'Forwarded: for="a,for={LIAR}", for={CLIENT}'], CLIENT),
    ],
)
def test_the_address_is_the_last_that_a_trusted_proxy_tells(lines: list[str], address: str) -> None:
    assert read(*lines).address == address


@pytest.mark.parametrize(
    ("lines", "scheme", "host"),
    [
        ([], "http", None),
        (["X-Forwarded-Proto: https", "X-Forwarded-Host: app.example"], "https", "app.example"),
        (["X-Forwarded-Proto: WSS"], "https", None),
        (["X-Forwarded-Proto: gopher"], "http", None),
        (
            [
                f"X-Forwarded-For: {LIAR}, {CLIENT}",
                "X-Forwarded-Proto: http, https",
                "X-Forwarded-Host: no, yes",
            ],
            "https",
            "yes",
        ),
        (
            [f"X-Forwarded-For: {CLIENT}, {FAR}", "X-Forwarded-Proto: https, http", "X-Forwarded-Host: a, b"],
            "https",
            "a",
        ),
        ([f"X-Forwarded-For: {CLIENT}, {FAR}", "X-Forwarded-Proto: https"], "https", None),
        ([f'Forwarded: for={CLIENT};proto=https;host="app.example:8443"'], "https", "app.example:8443"),
        ([f"Forwarded: host=no;proto=http;for={LIAR}, host=yes;proto=https;for={CLIENT}"], "https", "yes"),
    ],
)
def test_scheme_and_host_are_what_the_outermost_trusted_proxy_saw(
    lines: list[str], scheme: str, host: str | None
) -> None:
    assert read(*lines)[1:3] == (scheme, host)


def test_a_proxy_that_spoke_tls_and_says_nothing_is_taken_by_its_own() -> None:
    assert read(f"X-Forwarded-For: {CLIENT}", scheme="https").scheme == "https"


@pytest.mark.parametrize(
    "lines",
    [
        [f"X-Forwarded-For: {CLIENT}", f"Forwarded: for={LIAR}"],
        [f"X-Forwarded-For: {CLIENT}", f"Forwarded: for={CLIENT};proto=https"],
        [f"X-Forwarded-For: {CLIENT}", f"Forwarded: for={CLIENT};host=evil.example"],
        [f"Forwarded: for={CLIENT}", "X-Forwarded-Host: evil.example"],
        ['Forwarded: for="1.2.3.4', f"X-Forwarded-For: {CLIENT}"],
        [f'Forwarded: for=", for={CLIENT}'],
        [f'Forwarded: a=", for={CLIENT};host="app.example"'],
        [f"Forwarded: for={CLIENT};"],
        ["Forwarded: nonsense"],
    ],
)
def test_what_may_be_a_strangers_words_among_a_proxys_is_refused(lines: list[str]) -> None:
    with pytest.raises(RequestInvalid, match="Forwarded"):
        read(*lines)


def test_both_kinds_may_say_the_same() -> None:
    said = read(
        f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Proto: https", f"Forwarded: for={CLIENT};proto=https"
    )
    assert said == Origination(CLIENT, "https", None, "")


@pytest.mark.parametrize(
    ("told", "prefix"),
    [
        ("/app", "/app"),
        ("/app/", "/app"),
        ("/a/b%20c", "/a/b%20c"),
        ("/", ""),
        ("//evil.example", ""),
        ("/..", ""),
        ("/a/../b", ""),
        ("app", ""),
        ("https://evil.example", ""),
        ("/a\\b", ""),
        ("/wrong, /app", "/app"),
    ],
)
def test_a_prefix_is_a_path_and_never_another_server(told: str, prefix: str) -> None:
    assert read(f"X-Forwarded-Prefix: {told}").prefix == prefix


@pytest.mark.parametrize(("text", "right"), [("", True), ("/app", True), ("app", False), ("/", False)])
def test_a_root_path_that_is_none_is_named(text: str, right: bool) -> None:
    assert (prefix_fault(text) is None) is right


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.255.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("fd00::5", True),
        ("11.0.0.1", False),
        ("fe80::1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_trust_is_by_address_and_network(address: str, trusted: bool) -> None:
    assert proxies().trusts(address) is trusted


def test_nobody_is_trusted_by_default() -> None:
    nobody = Proxies(ServerSettings())
    assert (nobody.any, nobody.trusts("127.0.0.1")) == (False, False)


@pytest.mark.parametrize(
    ("entry", "says"),
    [("10.0.0.1/8", 'Write "10.0.0.0/8"'), ("localhost", "an address or a network"), ("*", "an address")],
)
def test_an_entry_that_is_no_network_is_refused(entry: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        proxies("127.0.0.1", entry)
    assert f'"{entry}"' in caught.value.message
    assert says in caught.value.hint


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        (b"x-forwarded-for", True),
        (b"x-forwarded-ssl", True),
        (b"forwarded", True),
        (b"x-real-ip", True),
        (b"host", False),
    ],
)
def test_which_headers_are_claims(name: bytes, claims: bool) -> None:
    assert is_claim(name) is claims


def test_of_thousands_of_addresses_that_a_stranger_wrote_none_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each costs as much as all the rest of a small request."""
    asked: list[str] = []
    real = forwarded.ip_address

    def counting(text: str) -> object:
        asked.append(text)
        return real(text)

    monkeypatch.setattr(forwarded, "ip_address", counting)
    assert read(f"X-Forwarded-For: {'::1, ' * 6000}{CLIENT}").address == CLIENT
    assert len(asked) < 10


@pytest.mark.parametrize(
    "lines",
    [
        [f"X-Forwarded-For: {LIAR}, " + ", ".join([FAR] * (MOST_PROXIES + 1))],
        [f"Forwarded: {'for=1.2.3.4, ' * MOST_PAIRS}for={CLIENT}"],
        [f"Forwarded: {'a=b;' * MOST_PAIRS}for={CLIENT}"],
        ["Forwarded: for=1.2.3.4"] * (MOST_PAIRS + 1),
    ],
)
def test_more_than_any_chain_of_proxies_writes_is_refused(lines: list[str]) -> None:
    with pytest.raises(RequestInvalid):
        read(*lines)
