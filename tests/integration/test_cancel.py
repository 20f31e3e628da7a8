"""Stopping the run behind an item over real sockets and plain HTTP: who may, what is answered, and that no
page from elsewhere can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from headwater.config import ServerSettings, Settings, SocketSettings
from headwater.errors import StoreUnavailable
from headwater.model import GroupKey
from headwater.server.live.gate import NO, YES, Ask, Verdict
from support.socket_client import RawSocket, text
from support.stream_store import turns
from support.v1_site import V1Site, v1_site
from support.v1_stage import ROOM, PresenceGate

PATH = "/streams/chat/room/a/cancel"
CLAIMED = [(ROOM, "a")]


class Rules(PresenceGate):
    """Denies items named hidden, and everything once it is shut."""

    shut = False

    def admit(self, ask: Ask) -> Any:
        super().admit(ask)
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        answer.set_result(NO if self.shut or ask.item == "hidden" else YES)
        return answer


@pytest.fixture
async def site() -> AsyncGenerator[V1Site]:
    async with v1_site() as running:
        running.runs.claimed.update(CLAIMED)
        yield running


class Client:
    """A socket of protocol v1."""

    def __init__(self, socket: RawSocket) -> None:
        self.socket = socket

    def say(self, **message: Any) -> None:
        self.socket.send(text(orjson.dumps(message)))

    async def answer(self, **message: Any) -> dict[str, Any]:
        """Say it and read on to its answer."""
        if message:
            self.say(**message)
        while (told := await self.socket.message())["t"] not in ("ok", "error"):
            pass
        return told


@asynccontextmanager
async def following(site: V1Site, **more: Any) -> AsyncGenerator[Client]:
    headers: dict[str, str | None] = {"Sec-WebSocket-Protocol": "headwater.v1"}
    async with await RawSocket.open(site.server.port, headers=headers) as socket:
        client = Client(socket)
        client.say(**({"t": "sub", "sub": 1, "stream": "chat", "group": "room"} | more))
        yield client


class TestOverASocket:
    async def test_an_item_of_a_group_or_the_item_itself(self, site: V1Site) -> None:
        async with following(site) as client:
            assert await client.answer(t="cancel", sub=1, id="a", ask=3) == {"t": "ok", "sub": 1, "ask": 3}
        async with following(site, id="a") as client:
            assert await client.answer(t="cancel", sub=1) == {"t": "ok", "sub": 1}
            assert (await client.answer(t="cancel", sub=1, id="a"))["t"] == "ok"
        assert site.runs.cancelled == CLAIMED * 3

    async def test_what_nobody_has_claimed_is_told_so_and_the_subscription_lives_on(
        self, site: V1Site
    ) -> None:
        async with following(site) as client:
            told = await client.answer(t="cancel", sub=1, id="b", ask=3)
            assert (told["code"], told["sub"], told["ask"]) == ("RUN_UNKNOWN", 1, 3)
            assert "ended" not in told
            assert (await client.answer(t="cancel", sub=1, id="a"))["t"] == "ok"

    @pytest.mark.parametrize(("more", "item"), [({}, None), ({"id": "b"}, "a")])
    async def test_what_the_subscription_does_not_cover_is_refused(
        self, site: V1Site, more: dict[str, str], item: str | None
    ) -> None:
        async with following(site, **more) as client:
            told = await client.answer(t="cancel", sub=1, id=item, ask=3)
            assert (told["code"], told["field"], told["ask"]) == ("INVALID_INPUT", "id", 3)
        assert not site.runs.cancelled

    async def test_the_gate_is_asked_when_it_is_cancelled(self) -> None:
        gate = Rules()
        async with v1_site(gate=gate) as site:
            site.runs.claimed.update([*CLAIMED, (ROOM, "hidden")])
            async with following(site, id="hidden") as client:
                # The subscription is refused, and with it what was said of it; in any order.
                told = [await client.answer(t="cancel", sub=1, ask=3), await client.answer()]
                assert {one["code"] for one in told} == {"STREAM_ACCESS_DENIED"}
                assert sorted(one.get("ask", 0) for one in told) == [0, 3]
            async with following(site) as client:
                assert (await client.answer(t="cancel", sub=1, id="a"))["t"] == "ok"
                gate.shut = True
                assert (await client.answer(t="cancel", sub=1, id="a"))["code"] == "STREAM_ACCESS_DENIED"
            assert site.runs.cancelled == CLAIMED

    async def test_a_store_that_cannot_say_it_now_is_told(self, site: V1Site) -> None:
        async with following(site) as client:
            site.runs.fault = StoreUnavailable("Not now.")
            assert (await client.answer(t="cancel", sub=1, id="a"))["code"] == "STORE_UNAVAILABLE"
            site.runs.fault = RuntimeError("a fault of ours")
            assert (await client.answer(t="cancel", sub=1, id="a"))["code"] == "INTERNAL"

    async def test_who_asks_and_leaves_is_obeyed(self, site: V1Site) -> None:
        site.runs.held = asyncio.Event()
        async with following(site) as client:
            client.say(t="cancel", sub=1, id="a")
            client.say(t="ping")
            while (await client.socket.message())["t"] != "pong":
                pass
        while site.opening.sockets:
            await turns()
        site.runs.held.set()
        await turns()
        assert site.runs.cancelled == CLAIMED

    async def test_only_so_many_are_under_way(self) -> None:
        async with v1_site(Settings(socket=SocketSettings(max_subscriptions=2))) as site:
            site.runs.claimed.update(CLAIMED)
            site.runs.held = asyncio.Event()
            async with following(site) as client:
                for ask in (1, 2, 3):
                    client.say(t="cancel", sub=1, id="a", ask=ask)
                told = await client.answer()
                assert (told["code"], told["ask"]) == ("TOO_MANY", 3)
                site.runs.held.set()
                assert [(await client.answer())["ask"] for _ in range(2)] == [1, 2]
                assert (await client.answer(t="cancel", sub=1, id="a"))["t"] == "ok"


class TestOverHttp:
    @pytest.mark.parametrize("path", [PATH, "/streams/cancel?stream=chat&group=room&id=a"])
    async def test_an_item_is_named_in_the_path_or_the_query(self, site: V1Site, path: str) -> None:
        answer = await site.get(path, method="POST")

        assert (answer.status, answer.body) == (202, b"")
        assert answer.headers["x-trace-id"]
        assert site.runs.cancelled == CLAIMED

    async def test_any_name_can_be_stopped(self, site: V1Site) -> None:
        place = GroupKey("chat", "a/b"), "cancel"
        site.runs.claimed.add(place)

        assert (await site.get("/streams/chat/a%2Fb/cancel/cancel", method="POST")).status == 202
        assert site.runs.cancelled == [place]

    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [
            ("/streams/chat/room/b/cancel", 404, "RUN_UNKNOWN"),
            ("/streams/none/room/a/cancel", 404, "STREAM_UNKNOWN"),
            ("/streams/cancel?stream=chat&group=room", 400, "INVALID_INPUT"),
            ("/streams/cancel", 400, "INVALID_INPUT"),
            (f"/streams/chat/room/{'x' * 2000}/cancel", 400, "INVALID_INPUT"),
        ],
    )
    async def test_what_cannot_be_stopped_is_told(
        self, site: V1Site, path: str, status: int, code: str
    ) -> None:
        answer = await site.get(path, method="POST")

        assert (answer.status, answer.json["code"]) == (status, code)
        assert not site.runs.cancelled

    async def test_a_get_stops_nothing_and_an_item_may_be_called_so(self, site: V1Site) -> None:
        answer = await site.get(PATH)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")

        await site.set("cancel", n=1)
        assert (await site.get("/streams/chat/room/cancel")).json["n"] == 1
        _, _, head = await site.request("/streams/chat/room/cancel", method="DELETE")
        assert head.status == 204
        assert site.runs.cancelled == []
        assert not site.runs.cancelled

    async def test_who_may_not_read_may_not_stop(self) -> None:
        async with v1_site(gate=Rules()) as site:
            site.runs.claimed.update([*CLAIMED, (ROOM, "hidden")])
            answer = await site.get("/streams/chat/room/hidden/cancel", method="POST")
            assert (answer.status, answer.json["code"]) == (403, "STREAM_ACCESS_DENIED")
            assert (await site.get(PATH, method="POST")).status == 202

    async def test_a_body_that_nobody_needs_does_no_harm(self, site: V1Site) -> None:
        reader, writer, head = await site.request(PATH, {"Content-Length": "4"}, "POST")
        assert head.status == 202
        writer.write(b"bodyGET /streams/chat/room HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


class TestPages:
    """A page can send a plain POST to any server, and the browser adds the page's origin."""

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
    async def test_of_elsewhere_stop_nothing(self, site: V1Site, origin: str) -> None:
        form = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        answer = await site.get(PATH, form, method="POST")

        assert (answer.status, answer.json["code"]) == (403, "ORIGIN_REFUSED")
        assert not site.runs.cancelled

    @pytest.mark.parametrize("origin", ["http://127.0.0.1", "http://localhost:5173"])
    async def test_of_this_server_and_of_this_machine_do(self, site: V1Site, origin: str) -> None:
        assert (await site.get(PATH, {"Origin": origin}, method="POST")).status == 202

    async def test_of_a_server_for_all_only_its_own_and_those_that_are_named(self) -> None:
        named = "https://app.example"
        settings = Settings(server=ServerSettings(host="0.0.0.0", cors_origins=(named,)))
        async with v1_site(settings) as site:
            site.runs.claimed.update(CLAIMED)
            assert (await site.get(PATH, {"Origin": "http://localhost:5173"}, method="POST")).status == 403
            answer = await site.get(PATH, {"Origin": named}, method="POST")
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (202, named)
            asks = {"Origin": named, "Access-Control-Request-Method": "POST"}
            asks["Access-Control-Request-Headers"] = "authorization"
            _, _, answer = await site.request(PATH, asks, "OPTIONS")
            assert (answer.status, answer.headers["access-control-allow-headers"]) == (204, "authorization")
        assert site.runs.cancelled == CLAIMED
