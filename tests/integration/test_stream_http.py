"""Streams over plain HTTP: what a GET answers, conditional and paged, and under which names and rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from headwater.config import Settings, StreamSettings
from headwater.model import GroupKey
from headwater.server.live.gate import NO, YES, Ask, Verdict
from headwater.steps.project.declare import Project
from headwater.streams import snapshot
from support.http_site import step, tell
from support.v1_site import V1Site, v1_site
from support.v1_stage import PresenceGate


@pytest.fixture
async def site() -> AsyncGenerator[V1Site]:
    async with v1_site() as running:
        yield running


async def test_a_group_is_its_items_in_creation_order(site: V1Site) -> None:
    for item in ("b", "a", "b"):
        await site.set(item, text="ä")

    answer = await site.get("/streams/chat/room")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert [item["id"] for item in answer.json["items"]] == ["b", "a"]
    assert (answer.json["version"], answer.json["epoch"]) == (3, site.store.epoch)
    assert answer.headers["etag"] == f'"{site.store.epoch}.3"'


async def test_an_empty_group_is_empty(site: V1Site) -> None:
    assert (await site.get("/streams/chat/room")).json["items"] == []


async def test_an_item_has_a_tag_of_its_own(site: V1Site) -> None:
    await site.set("a", n=1)
    await site.set("b", n=2)

    answer = await site.get("/streams/chat/room/a")

    assert answer.json["n"] == 1
    assert answer.headers["etag"] == f'"{site.store.epoch}.1"'


@pytest.mark.parametrize("path", ["/streams/chat/room", "/streams/chat/room/a", "/streams/chat/room?limit=1"])
async def test_what_the_client_has_is_not_sent_again(site: V1Site, path: str) -> None:
    await site.set("a", n=1)
    tag = (await site.get(path)).headers["etag"]

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await site.get(path, {"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    await site.set("a", n=2)
    assert (await site.get(path, {"If-None-Match": tag})).status == 200


async def test_head_is_get_without_the_body(site: V1Site) -> None:
    await site.set("a", n=1)
    whole = await site.get("/streams/chat/room")

    head = await site.get("/streams/chat/room", method="HEAD")

    assert head.status == 200
    assert head.headers["content-length"] == str(len(whole.body))
    assert head.headers["etag"] == whole.headers["etag"]


async def test_windows_page_back_to_the_beginning(site: V1Site) -> None:
    for number in range(5):
        await site.set(str(number))
    seen: list[str] = []
    path = "/streams/chat/room?limit=2"
    for _ in range(3):
        page = (await site.get(path)).json
        seen = [item["id"] for item in page["items"]] + seen
        path = f"/streams/chat/room?limit=2&before={page['before']}"

    assert seen == ["0", "1", "2", "3", "4"]
    assert page["before"] is None


async def test_a_window_ends_with_a_page_and_goes_on_before_it() -> None:
    async with v1_site(Settings(streams=StreamSettings(page_bytes=2500))) as site:
        for number in range(5):
            await site.set(str(number), text="x" * 900)
        page = (await site.get("/streams/chat/room?limit=4")).json
        assert [item["id"] for item in page["items"]] == ["2", "3", "4"]
        page = (await site.get(f"/streams/chat/room?limit=4&before={page['before']}")).json
        assert ([item["id"] for item in page["items"]], page["before"]) == (["0", "1"], None)


async def test_a_window_has_so_many_items_at_most() -> None:
    async with v1_site(Settings(streams=StreamSettings(max_window=2))) as site:
        for number in range(3):
            await site.set(str(number))
        for path in ("?limit=3", "?before=4"):
            page = (await site.get(f"/streams/chat/room{path}")).json
            assert ([item["id"] for item in page["items"]], page["before"]) == (["1", "2"], 2)


async def test_a_group_too_large_to_be_answered_whole_is_read_in_parts() -> None:
    async with v1_site(Settings(streams=StreamSettings(max_snapshot_bytes=2000))) as site:
        for number in range(3):
            await site.set(str(number), text="x" * 900)
        answer = await site.get("/streams/chat/room")
        assert (answer.status, answer.json["code"], answer.json["limit"]) == (413, "TOO_LARGE", 2000)
        assert "limit=" in answer.json["hint"]
        assert len((await site.get("/streams/chat/room?limit=3")).json["items"]) == 3
        assert (await site.get("/streams/chat/room/1")).status == 200


async def test_a_large_group_is_in_order_too(site: V1Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MANY", 2)
    for item in ("b", "a", "c", "b"):
        await site.set(item)
    answer = await site.get("/streams/chat/room")
    assert [item["id"] for item in answer.json["items"]] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "before=-1", "limit=", "before=" + "9" * 5000, "limit=%C2%B2"]
)
async def test_a_window_that_makes_no_sense_is_refused(site: V1Site, query: str) -> None:
    answer = await site.get(f"/streams/chat/room?{query}")

    assert (answer.status, answer.json["code"]) == (400, "INVALID_INPUT")


@pytest.mark.parametrize("name", ["a/b", "a b", "ä", "%", "a?b", "..", ".", "a%2Fb", "\x00", "a#b", '"'])
async def test_any_name_can_be_read(site: V1Site, name: str) -> None:
    from urllib.parse import quote

    await site.set(name, GroupKey("chat", name), n=1)
    quoted = quote(name, safe="")

    assert (await site.get(f"/streams/chat/{quoted}")).json["items"][0]["n"] == 1
    assert (await site.get(f"/streams/chat/{quoted}/{quoted}")).json["n"] == 1
    assert (await site.get(f"/streams?stream=chat&group={quoted}&id={quoted}")).json["n"] == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/streams/none/room", 404, "STREAM_UNKNOWN"),
        ("/streams/chat/room/none", 404, "ITEM_UNKNOWN"),
        ("/streams/chat", 404, "ROUTE_UNKNOWN"),
        ("/streams/chat/a/b/c", 404, "ROUTE_UNKNOWN"),
        ("/streams/chat/%FF", 400, "REQUEST_INVALID"),
        ("/streams", 400, "INVALID_INPUT"),
        ("/streams?stream=chat", 400, "INVALID_INPUT"),
        ("/streams/chat//a", 400, "INVALID_INPUT"),
        ("/streamsx/chat/room", 404, "ROUTE_UNKNOWN"),
    ],
)
async def test_what_is_not_there_is_told_with_its_code(
    site: V1Site, path: str, status: int, code: str
) -> None:
    answer = await site.get(path)

    assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_group_is_not_written_as_a_whole(site: V1Site) -> None:
    answer = await site.get("/streams/chat/room", method="PUT")

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


class Strict(PresenceGate):
    """Lets nobody into groups named secret."""

    def admit(self, ask: Ask) -> Any:
        super().admit(ask)
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        answer.set_result(NO if ask.group.group == "secret" else YES)
        return answer


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_the_rules_of_subscriptions_hold(accept: str) -> None:
    async with v1_site(gate=Strict()) as site:
        _, _, head = await site.request("/streams/chat/secret", {"Accept": accept})
        assert head.status == 403
        _, _, head = await site.request("/streams/chat/room", {"Accept": accept})
        assert head.status == 200


async def test_the_prefix_is_a_setting() -> None:
    async with v1_site(Settings(streams=StreamSettings(prefix="/live/data/"))) as site:
        assert (await site.get("/live/data/chat/room")).status == 200
        assert (await site.get("/streams/chat/room")).status == 404


async def test_no_prefix_turns_it_off() -> None:
    async with v1_site(Settings(streams=StreamSettings(prefix=""))) as site:
        assert (await site.get("/streams/chat/room")).status == 404


async def test_a_step_below_the_prefix_wins(site: V1Site) -> None:
    routes = ["GET /streams/mine", "POST /streams/chat/:group"]
    site.executor.handlers.update(dict.fromkeys(routes, tell))
    site.app.set_project(Project(2, tuple(step(route) for route in routes)))

    assert (await site.get("/streams/mine")).json["path"] == "/streams/mine"
    assert (await site.get("/streams/chat/a", method="POST")).json["params"] == {"group": "a"}
    assert (await site.get("/streams/chat/a")).json["items"] == []
