"""A server behind proxies: whom it takes for its client, by which name, and below which path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.config import ServerSettings
from headwater.server.http.client_script import PATH, ClientScript
from headwater.server.peers import peer_of_request
from support.http_site import serving, tell
from support.socket_client import RawSocket
from support.socket_server import socket_stage

HERE, CLIENT, LIAR = "127.0.0.1", "203.0.113.9", "198.51.100.1"
CLAIMS = {
    "x-forwarded-for": f"{LIAR}, {CLIENT}",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "app.example",
    "x-real-ip": LIAR,
}
ROUTES = {"GET /x": tell, "GET /docs/:id": tell, "GET /app/x": tell}


async def internal(scope: Any, receive: Any, send: Any) -> None:
    peer = peer_of_request(scope, {})
    said = f"{peer.address} {scope['scheme']} {peer.url}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said})


def kept(response: httpx.Response) -> dict[str, str]:
    names = (*CLAIMS, "forwarded", "host")
    return {name: value for name, value in response.json()["headers"].items() if name in names}


async def test_what_a_trusted_proxy_says_is_what_everybody_sees() -> None:
    inner = [("/streams", internal)]
    async with serving(
        ROUTES, internal=inner, trusted_proxies=(HERE,), allowed_hosts=("app.example",)
    ) as site:
        told = await site.client.get("/x", headers=CLAIMS)
        assert kept(told) == {
            "host": "app.example",
            "x-forwarded-for": CLIENT,
            "x-forwarded-proto": "https",
            "x-forwarded-host": "app.example",
        }
        assert (await site.client.get("/streams/a?b", headers=CLAIMS)).text == f"{CLIENT} https /streams/a?b"
        # The next request of the proxy's connection is another client's.
        assert (await site.client.get("/streams/a")).text == f"{HERE} http /streams/a"


async def test_what_a_stranger_says_reaches_nobody() -> None:
    inner = [("/streams", internal)]
    async with serving(ROUTES, internal=inner, trusted_proxies=("10.0.0.1",)) as site:
        told = await site.client.get("/x", headers={**CLAIMS, "forwarded": "broken, for="})
        assert kept(told) == {"host": f"127.0.0.1:{site.server.port}"}
        assert (await site.client.get("/streams/a", headers=CLAIMS)).text == f"{HERE} http /streams/a"


async def test_without_proxies_the_headers_are_a_step_s_to_read_and_mean_nothing() -> None:
    inner = [("/streams", internal)]
    async with serving(ROUTES, internal=inner) as site:
        told = await site.client.get("/x", headers=CLAIMS)
        assert kept(told) == {**CLAIMS, "host": f"127.0.0.1:{site.server.port}"}
        assert (await site.client.get("/streams/a", headers=CLAIMS)).text == f"{HERE} http /streams/a"


async def test_a_server_for_this_machine_checks_both_names_of_a_request() -> None:
    async with serving(ROUTES, trusted_proxies=(HERE,)) as site:
        foreign = await site.client.get("/x", headers={"x-forwarded-host": "evil.example"})
        assert (foreign.status_code, foreign.json()["host"]) == (403, "evil.example")
        # A page whose name was made to mean this machine can write the header of a proxy, too.
        rebound = {"host": "evil.example", "x-forwarded-host": "localhost"}
        answer = await site.client.get("/x", headers=rebound)
        assert (answer.status_code, answer.json()["host"]) == (403, "evil.example")


async def test_what_contradicts_itself_is_refused_with_a_hint() -> None:
    async with serving(ROUTES, trusted_proxies=(HERE,)) as site:
        headers = {"x-forwarded-for": CLIENT, "forwarded": f"for={LIAR}"}
        answer = await site.client.get("/x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "REQUEST_INVALID")
    assert "remove" in answer.json()["hint"]


async def test_a_request_that_offers_another_protocol_is_believed_once() -> None:
    offer = {"connection": "upgrade", "upgrade": "h2c"}
    async with serving(
        ROUTES, trusted_proxies=(HERE,), allowed_hosts=("app.example",), root_path="/app"
    ) as site:
        told = (await site.client.get("/app/app/x", headers={**CLAIMS, **offer})).json()
    assert (told["path"], told["headers"]["x-forwarded-for"]) == ("/app/x", CLIENT)


async def test_a_socket_knows_its_client_and_pages_are_compared_with_what_browsers_see() -> None:
    server = ServerSettings(trusted_proxies=(HERE,), allowed_hosts=("app.example",), root_path="/app")
    async with socket_stage(server=server) as stage:
        await stage.open("/app/live?a=1", {**CLAIMS, "origin": "https://app.example"})
        assert (stage.peers[-1].address, stage.peers[-1].url) == (CLIENT, "/live?a=1")
        assert stage.peers[-1].headers["host"] == "app.example"
        assert stage.peers[-1].secure
        plain = await RawSocket.connect(stage.port)
        assert (await plain.shake(headers={**CLAIMS, "origin": "http://app.example"})).status == 403
        await plain.end()
        await stage.open("/live")
        assert not stage.peers[-1].secure
        assert stage.peers[-1].address == HERE


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/app/x", "/x"),
        ("/x", "/x"),
        ("/app/app/x", "/app/x"),
        ("/app/docs/a%2Fb?q=1", "/docs/a%2Fb"),
        ("/apparent", None),
        ("/app", None),
        ("/app?q=1", None),
    ],
)
async def test_a_prefix_is_taken_off_where_it_is(path: str, seen: str | None) -> None:
    async with serving(ROUTES, root_path="/app/") as site:
        told = await site.client.get(path)
        unseen = "/apparent" if path == "/apparent" else "/"
        assert told.json()["path"] == (seen or unseen)


@pytest.mark.parametrize("told", [False, True], ids=["by the setting", "by the proxy"])
async def test_everything_is_served_below_the_prefix(tmp_path: Path, told: bool) -> None:
    (tmp_path / "public/docs").mkdir(parents=True)
    (tmp_path / "public/docs/index.html").write_text("<h1>docs</h1>")
    headers = {"x-forwarded-prefix": "/app"} if told else {}
    settings: dict[str, Any] = {"trusted_proxies": (HERE,)} if told else {"root_path": "/app"}
    below = "" if told else "/app"
    inner = [(PATH, ClientScript())]
    async with serving(project=tmp_path, internal=inner, **settings) as site:
        site.client.headers.update(headers)
        assert (await site.client.get(f"{below}/docs")).headers["location"] == "/app/docs/"
        assert (await site.client.get(f"{below}/docs/")).text == "<h1>docs</h1>"
        script = await site.client.get(f"{below}{PATH}")
        assert script.headers["content-type"].startswith("text/javascript")


async def test_a_strangers_prefix_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "public/docs").mkdir(parents=True)
    (tmp_path / "public/docs/index.html").write_text("<h1>docs</h1>")
    for trusted in ((), ("10.0.0.1",)):
        async with serving(project=tmp_path, trusted_proxies=trusted) as site:
            answer = await site.client.get("/docs", headers={"x-forwarded-prefix": "/evil"})
            assert answer.headers["location"] == "/docs/"
