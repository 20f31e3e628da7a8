"""Whatever a stranger writes left of what a trusted proxy adds, that is believed or the request refused."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from headwater.config import ServerSettings
from headwater.errors import RequestInvalid
from headwater.server.http.forwarded import Proxies

PROXY, CLIENT = "10.0.0.1", "203.0.113.9"
PROXIES = Proxies(ServerSettings(trusted_proxies=("10.0.0.0/8",)))

pieces = st.sampled_from(
    [
        "for=",
        "for=10.0.0.2",
        "10.0.0.3",
        "unknown",
        ",",
        ";",
        '"',
        "\\",
        "=",
        " ",
        "host=evil",
        "proto=https",
        "[",
        "]:1",
    ]
)
words = st.one_of(
    st.lists(pieces, max_size=12).map("".join),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
)
whole = st.sampled_from(
    [f"for={CLIENT}", f'for="{CLIENT}:80";host="app.example"', f'host=a;for={CLIENT};by="[::1]"']
)


@given(words, st.booleans())
def test_nothing_before_what_the_proxy_added_to_x_forwarded_for_counts(said: str, apart: bool) -> None:
    lines = [said, CLIENT] if apart else [f"{said}, {CLIENT}"]
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    assert PROXIES.read(headers, PROXY, "http").address == CLIENT


@given(words, whole, st.booleans())
@example('a="', 'for="1.2.3.4"', False)
@example('for="', f'for={CLIENT};host=""', False)
def test_nothing_before_what_the_proxy_added_to_forwarded_counts(said: str, added: str, apart: bool) -> None:
    lines = [said, added] if apart else [f"{said}, {added}"]
    headers = [(b"forwarded", line.encode("latin-1")) for line in lines]
    alone = PROXIES.read([(b"forwarded", added.encode())], PROXY, "http")
    try:
        assert PROXIES.read(headers, PROXY, "http") == alone
    except RequestInvalid:
        pass


@given(words, words)
def test_two_kinds_of_headers_never_differ_in_silence(said: str, other: str) -> None:
    usual = [(b"x-forwarded-for", f"{said}, {CLIENT}".encode("latin-1"))]
    standard = [(b"forwarded", other.encode("latin-1"))]
    try:
        both = PROXIES.read([*usual, *standard], PROXY, "http")
    except RequestInvalid:
        return
    assert both == PROXIES.read(usual, PROXY, "http")
