"""Which handshakes are let in: origins, the number of sockets, subprotocols."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.typing import Subprotocol

from headwater.config import ServerSettings, SocketSettings
from headwater.server.live.opening import SocketOpening
from headwater.server.live.session import Session
from headwater.server.live.websocket import WebSocket


def opening(host: str = "127.0.0.1", cors_origins: tuple[str, ...] = (), most: int = 10) -> SocketOpening:
    def no_session(socket: WebSocket, request: Request) -> Session:
        raise AssertionError("no socket opens here")

    server = ServerSettings(host=host, cors_origins=cors_origins, max_connections=most)
    return SocketOpening(server, SocketSettings(), no_session)


def status(opening: SocketOpening, *headers: tuple[str, str]) -> HTTPStatus | None:
    refused = opening.refuse(Request("/", Headers(headers)))
    return None if refused is None else refused[0]


class TestOrigins:
    def test_are_not_asked_of_clients_that_are_no_browsers(self) -> None:
        assert status(opening(), ("Host", "127.0.0.1:3000")) is None

    @pytest.mark.parametrize("host", ["127.0.0.1:3000", "example.com", "EXAMPLE.com:8080", "[::1]:3000"])
    def test_of_the_servers_own_pages_are_let_in(self, host: str) -> None:
        assert status(opening("0.0.0.0"), ("Host", host), ("Origin", f"https://{host.lower()}")) is None

    @pytest.mark.parametrize(
        "origin", ["http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:5173", "https://localhost"]
    )
    def test_of_this_machine_are_let_in_while_the_server_is_for_this_machine_only(self, origin: str) -> None:
        headers = ("Host", "127.0.0.1:3000"), ("Origin", origin)
        assert status(opening("127.0.0.1"), *headers) is None
        assert status(opening("localhost"), *headers) is None
        assert status(opening("0.0.0.0"), *headers) is HTTPStatus.FORBIDDEN

    def test_that_are_refused_are_logged_once_with_what_lets_them_in(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        closed = opening()
        for origin in ("http://evil.example", "http://evil.example", "http://\xff.example"):
            assert status(closed, ("Host", "127.0.0.1:3000"), ("Origin", origin)) is HTTPStatus.FORBIDDEN
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
        assert all("cors_origins" in record.message for record in caplog.records)
        assert caplog.text.isascii()

    @pytest.mark.parametrize(
        "origin",
        [
            "http://evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example:3000",
            "http://evil.example/127.0.0.1:3000",
            "http://127.0.0.1:3000@evil.example",
            "http://127.0.0.1:3000.evil.example",
            "null",
            "",
            "127.0.0.1:3000",
            "file://",
            "http://",
            "http://[::1",
            "http://127.0.0.1:99999999",
            "http://\xff",
        ],
    )
    def test_of_elsewhere_and_odd_ones_are_refused(self, origin: str) -> None:
        assert status(opening(), ("Host", "127.0.0.1:3000"), ("Origin", origin)) is HTTPStatus.FORBIDDEN

    def test_that_the_settings_list_are_let_in_exactly(self) -> None:
        listed = opening("0.0.0.0", ("https://app.example",))
        host = ("Host", "api.example")
        assert status(listed, host, ("Origin", "https://app.example")) is None
        assert status(listed, host, ("Origin", "http://app.example")) is HTTPStatus.FORBIDDEN
        assert status(listed, host, ("Origin", "https://app.example:444")) is HTTPStatus.FORBIDDEN

    def test_are_all_let_in_by_a_star(self) -> None:
        assert status(opening("0.0.0.0", ("*",)), ("Host", "a"), ("Origin", "https://b")) is None

    def test_given_twice_are_refused(self) -> None:
        own = ("Origin", "http://127.0.0.1:3000")
        assert status(opening(), ("Host", "127.0.0.1:3000"), own, own) is HTTPStatus.BAD_REQUEST

    def test_of_a_request_with_two_hosts_or_none_are_refused(self) -> None:
        own = ("Origin", "http://a.example")
        assert status(opening(), ("Host", "a.example"), ("Host", "b.example"), own) is HTTPStatus.BAD_REQUEST
        for origin in (own, ("Origin", "null"), ("Origin", "")):
            assert status(opening(), origin) is HTTPStatus.FORBIDDEN


class TestTheNumberOfSockets:
    def test_is_bounded(self) -> None:
        full = opening(most=2)
        full.sockets.update(cast(WebSocket, object()) for _ in range(2))
        assert status(full) is None  # The one that asks is counted already.
        full.sockets.add(cast(WebSocket, object()))
        assert status(full) is HTTPStatus.SERVICE_UNAVAILABLE


class TestSubprotocols:
    @pytest.mark.parametrize(
        ("offered", "taken"),
        [
            ([], None),
            (["Authorization", "token"], "Authorization"),
            (["headwater.v1"], "headwater.v1"),
            (["Authorization", "token", "headwater.v1"], "headwater.v1"),
            (["soap"], None),
            (["authorization", "token"], None),
        ],
    )
    def test_are_taken_where_they_are_known(self, offered: list[str], taken: str | None) -> None:
        assert opening().select([Subprotocol(one) for one in offered]) == taken
