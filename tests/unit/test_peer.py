"""Who asks: the same for a request and for a socket."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from headwater.peer import PackedHeaders, Peer
from headwater.server.peers import peer_of_handshake, peer_of_request


class Transport:
    def get_extra_info(self, name: str) -> object:
        return ("192.0.2.7", 5) if name == "peername" else None


HEADERS = {"Cookie": 'a=1; b="two"; a=3', "Authorization": "Bearer secret", "X-Name": "Ann"}


def peers() -> list[Peer]:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in HEADERS.items()]
    scope = {"path": "/x", "query_string": b"a=1&a=2&b=", "client": ("192.0.2.7", 5), "headers": raw}
    read = {name.decode(): value.decode("latin-1") for name, value in raw}
    lines = Headers()
    for name, value in HEADERS.items():
        lines[name] = value
    lines["Upgrade"] = "websocket"
    shaken = Request("/x?a=1&a=2&b=", lines)
    return [peer_of_request(scope, read), peer_of_handshake(shaken, Transport())]  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 1], ids=["http", "websocket"])
def test_both_doors_say_the_same(number: int) -> None:
    peer = peers()[number]
    assert (peer.kind, peer.address) == (("http", "websocket")[number], "192.0.2.7")
    assert peer.url == "/x?a=1&a=2&b="
    assert peer.query == {"a": ["1", "2"], "b": ""}
    assert dict(peer.headers) == {name.lower(): value for name, value in HEADERS.items()}
    assert peer.cookies == {"a": "1", "b": "two"}
    assert (peer.token, peer.identity) == ("secret", None)


@pytest.mark.parametrize(
    ("headers", "url", "token"),
    [
        ({}, "/", None),
        ({"authorization": "bearer  x.y "}, "/", "x.y"),
        ({"authorization": "plain"}, "/", "plain"),
        ({"authorization": "Basic dXNlcg=="}, "/", "Basic dXNlcg=="),
        ({"authorization": "first", "sec-websocket-protocol": "Authorization, second"}, "/", "first"),
        ({"sec-websocket-protocol": "Authorization, a.b"}, "/?authToken=third", "a.b"),
        ({"sec-websocket-protocol": "headwater.v1, Authorization,a.b"}, "/", "a.b"),
        ({"sec-websocket-protocol": "headwater.v1, headwater.token.a.b"}, "/?authToken=third", "a.b"),
        ({"sec-websocket-protocol": "Authorization"}, "/", None),
        ({"sec-websocket-protocol": "headwater.v1"}, "/x?authToken=a%20b&authToken=c", "c"),
        ({}, "/?authToken=", None),
        ({}, "/?" + "a&" * 2000 + "authToken=x", None),
        ({}, "//[", None),
    ],
)
def test_a_token_is_found_in_three_places(headers: dict[str, str], url: str, token: str | None) -> None:
    assert Peer("websocket", url, "", headers).token == token


def test_packed_headers_are_a_mapping() -> None:
    packed = PackedHeaders(b"A: 1\r\nb:  \xfc \r\na: 3")
    assert dict(packed) == {"a": "1, 3", "b": "ü"}
    assert (len(packed), packed.get("c"), "b" in packed) == (2, None, True)
