"""A live stream over plain HTTP, read as curl would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from headwater.config import Settings, SocketSettings, StreamSettings
from headwater.model import Origin
from headwater.server.live import sse
from support.v1_site import V1Site, v1_site
from support.v1_stage import ROOM

PATH = "/streams/chat/room"


@pytest.fixture
async def site() -> AsyncGenerator[V1Site]:
    async with v1_site() as running:
        yield running


async def test_it_begins_with_the_state_and_goes_on_with_changes(site: V1Site) -> None:
    await site.set("a", n=1)
    stream = await site.listen(PATH)
    assert stream.head.headers["content-type"] == "text/event-stream; charset=utf-8"
    begun = await stream.until("complete")
    assert [event.data["t"] for event in begun] == ["subscribed", "page", "complete"]
    assert begun[-1].id == f"{site.store.epoch}.1"

    await site.set("b", n=2)
    await site.delete("a")
    await site.writer.send(*ROOM, None, b'{"type":"typing"}', origin=Origin())

    created, gone, event = [await stream.event() for _ in range(3)]
    assert (created.data["t"], created.data["d"]["n"]) == ("set", 2)
    assert (gone.data["t"], gone.id) == ("gone", f"{site.store.epoch}.3")
    assert (event.data["e"]["type"], event.id) == ("typing", None)


async def test_nothing_on_the_way_may_transform_it(site: V1Site) -> None:
    stream = await site.listen(PATH)
    assert stream.head.headers["cache-control"] == "no-store, no-transform"


async def test_a_client_of_http_1_0_gets_no_chunk_sizes(site: V1Site) -> None:
    await site.set("a", n=1)
    reader, _, head = await site.request(PATH, {"Accept": "text/event-stream"}, version="1.0")
    async with asyncio.timeout(60):
        text = await reader.readuntil(b'"t":"complete"')
        site.events.close()
        text += await reader.read()

    assert head.headers["connection"] == "close"
    assert "transfer-encoding" not in head.headers
    assert text.startswith(b"data: {")
    assert {line.split(b":")[0] for line in text.split(b"\n")} == {b"data", b"id", b""}


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_cursor_resumes(site: V1Site, way: str) -> None:
    await site.set("a", n=1)
    first = await site.listen(PATH)
    cursor = (await first.until("complete"))[-1].id
    assert cursor is not None
    first.close()
    await site.set("b", n=2)

    headers = {"Last-Event-ID": cursor} if way == "header" else {}
    again = await site.listen(PATH if way == "header" else f"{PATH}?from={cursor}", headers)
    missed = await again.until("complete")

    assert [event.data["t"] for event in missed] == ["subscribed", "page", "complete"]
    assert [item["id"] for _, _, item in missed[1].data["items"]] == ["b"]


@pytest.mark.parametrize(
    ("cursor", "reasons"),
    [("other.1", ["epoch"]), ("{epoch}.99", ["ahead"]), ("{epoch}.9007199254740993", ["ahead"]),
     ("nonsense", []), ("{epoch}." + "9" * 5000, []), ("{epoch}.-1", []), ("{epoch}.\u00b2", [])],
)  # fmt: skip
async def test_a_cursor_that_cannot_be_continued_starts_over(
    site: V1Site, cursor: str, reasons: list[str]
) -> None:
    await site.set("a", n=1)
    stream = await site.listen(PATH, {"Last-Event-ID": cursor.format(epoch=site.store.epoch)})
    assert stream.head.status == 200
    begun = await stream.until("complete")

    assert [event.data["reason"] for event in begun if event.data["t"] == "reset"] == reasons
    assert [item["id"] for event in begun for _, _, item in event.data.get("items", [])] == ["a"]


async def test_one_item_can_be_followed(site: V1Site) -> None:
    stream = await site.listen(f"{PATH}/a")
    await stream.until("complete")
    await site.set("b", n=1)
    await site.set("a", n=2)

    assert (await stream.event()).data["d"]["n"] == 2


async def test_a_silent_stream_is_kept_open_by_comments(
    site: V1Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "COMMENT_SECONDS", 0.01)
    stream = await site.listen(PATH)
    await stream.until("complete")

    assert (await asyncio.wait_for(stream.block(), 20)).startswith(b":")


async def test_a_client_that_goes_is_forgotten(site: V1Site) -> None:
    stream = await site.listen(PATH)
    await stream.until("complete")
    assert site.durable.hub.groups == [ROOM]

    stream.close()

    async with asyncio.timeout(60):
        while site.durable.hub.groups:
            await asyncio.sleep(0.01)


async def test_the_server_ends_its_streams_when_it_stops() -> None:
    async with v1_site() as site:
        stream = await site.listen(PATH)
        await stream.until("complete")
    async with asyncio.timeout(5):
        while not stream.ended:
            await stream.block()


async def test_who_reads_slowly_falls_behind_and_catches_up() -> None:
    async with v1_site(Settings(socket=SocketSettings(high_water_bytes=20_000))) as site:
        stream = await site.listen(PATH)
        await stream.until("complete")
        stream.pause()
        rounds, text = 400, "x" * 50_000
        for number in range(rounds):
            await site.set("a", text=f"{number}{text}")
        (visit,) = site.events.visits
        assert visit._unsent._bytes < 200_000  # pyright: ignore[reportPrivateUsage]

        stream.go_on()
        read = version = 0
        while version < rounds:
            event = await stream.event()
            read, version = read + 1, event.data.get("v", 0)
        assert read < rounds


async def test_a_limit_makes_it_a_window(site: V1Site) -> None:
    for n in range(5):
        await site.set(f"i{n}", n=n)
    stream = await site.listen(f"{PATH}?limit=2")
    begun = await stream.until("complete")
    assert [item["id"] for _, _, item in begun[1].data["items"]] == ["i3", "i4"]
    assert begun[-1].data["floor"] == 4
    await site.set("i0", n=9)
    await site.set("i5", n=5)
    assert (await stream.event()).data["d"]["id"] == "i5"


async def test_a_window_resumes_with_what_changed_in_it(site: V1Site) -> None:
    for n in range(5):
        await site.set(f"i{n}", n=n)
    first = await site.listen(f"{PATH}?limit=2")
    complete = (await first.until("complete"))[-1]
    first.close()
    await site.set("i0", n=9)
    await site.set("i4", n=9)
    await site.set("i5", n=5)

    again = await site.listen(f"{PATH}?limit=2&from={complete.id}&floor={complete.data['floor']}")
    missed = await again.until("complete")

    assert [event.data["t"] for event in missed] == ["subscribed", "page", "complete"]
    assert [item["id"] for _, _, item in missed[1].data["items"]] == ["i4", "i5"]
    assert missed[-1].data["floor"] == 4


async def test_a_window_grows_by_a_stream_that_asks_for_more(site: V1Site) -> None:
    for n in range(6):
        await site.set(f"i{n}", n=n)
    first = await site.listen(f"{PATH}?limit=2")
    complete = (await first.until("complete"))[-1]
    first.close()
    await site.set("i5", n=9)

    cursor, floor = complete.id, complete.data["floor"]
    grown = await site.listen(f"{PATH}?limit=2&from={cursor}&floor={floor}&more=3")
    _, older, meanwhile, whole = await grown.until("complete")

    assert (older.data["older"], [item["id"] for _, _, item in older.data["items"]]) == (
        True,
        ["i1", "i2", "i3"],
    )
    assert [item["n"] for _, _, item in meanwhile.data["items"]] == [9]
    assert whole.data["floor"] == 2
    await site.set("i0", n=9)
    await site.set("i1", n=9)
    assert (await grown.event()).data["d"]["id"] == "i1"


async def test_a_window_grows_by_no_more_at_once_than_the_settings_allow() -> None:
    async with v1_site(Settings(streams=StreamSettings(max_window=2))) as site:
        for n in range(6):
            await site.set(f"i{n}", n=n)
        first = await site.listen(f"{PATH}?limit=1000")
        complete = (await first.until("complete"))[-1]
        cursor, floor = complete.id, complete.data["floor"]
        grown = await site.listen(f"{PATH}?limit=1000&from={cursor}&floor={floor}&more=1000")
        _, older, _ = await grown.until("complete")

        assert [item["id"] for _, _, item in older.data["items"]] == ["i2", "i3"]


async def test_a_window_that_nobody_knows_the_beginning_of_starts_over(site: V1Site) -> None:
    for n in range(5):
        await site.set(f"i{n}", n=n)
    first = await site.listen(f"{PATH}?limit=2")
    cursor = (await first.until("complete"))[-1].id
    assert cursor is not None
    first.close()

    again = await site.listen(f"{PATH}?limit=2", {"Last-Event-ID": cursor})
    begun = await again.until("complete")

    assert [event.data["t"] for event in begun] == ["subscribed", "reset", "page", "complete"]
    assert begun[1].data["reason"] == "lost"
    assert [item["id"] for _, _, item in begun[2].data["items"]] == ["i3", "i4"]


@pytest.mark.parametrize("query", ["limit=0", "limit=2&floor=-1", "limit=2&floor=1&more=0", "limit=x"])
async def test_numbers_that_are_none_are_refused(site: V1Site, query: str) -> None:
    answer = await site.get(f"{PATH}?{query}", {"Accept": "text/event-stream"})
    assert (answer.status, answer.json["code"]) == (400, "INVALID_INPUT")
