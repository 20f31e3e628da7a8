"""The Python client over real sockets: connecting, coming back, reading, ending."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from headwater.client import CannotConnect, Client, Event, SubscriptionEnded, connect
from headwater.client.backoff import Backoff
from headwater.client.reading import EVENTS_KEPT
from headwater.errors import InvalidInput
from headwater.model import GroupKey, Origin
from headwater.server.live.gate import StreamGate
from headwater.streams.catalog import Rights, StreamRules
from support.relay import Relay
from support.scenario_server import Server
from support.v1_site import V1Site, v1_site
from support.v1_stage import ROOM

SECONDS = 60.0
Read = TypeVar("Read")


@pytest.fixture
async def site() -> AsyncGenerator[V1Site]:
    async with v1_site() as running:
        yield running


@pytest.fixture
async def relay(site: V1Site) -> AsyncGenerator[Relay]:
    async with Relay(site.server.port) as relay:
        yield relay


class Waits(Backoff):
    """Never waits, and tells how long it would have."""

    def __init__(self) -> None:
        super().__init__(lambda: 1.0)
        self.told: list[float] = []
        self.fourth = asyncio.Event()

    def wait(self) -> float:
        self.told.append(super().wait())
        if len(self.told) == 4:
            self.fourth.set()
        return 0.0


def client_of(port: int, **options: Any) -> Client:
    options.setdefault("backoff", Waits())
    return Client(f"http://127.0.0.1:{port}", **options)


async def following(reading: AsyncIterator[Read]) -> Read:
    """What is read next."""
    return await asyncio.wait_for(anext(reading), SECONDS)


async def reads(reading: AsyncIterator[Any], wanted: Any) -> None:
    """Read until this comes."""
    async with asyncio.timeout(SECONDS):
        async for read in reading:
            if read == wanted:
                return
    raise AssertionError("it ended")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def item(name: str, n: int) -> dict[str, Any]:
    return {"g": list(ROOM), "n": n, "id": name}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class TestConnecting:
    async def test_where_nobody_listens_is_an_error_that_says_why(self) -> None:
        with pytest.raises(CannotConnect, match=r"refused|Connect call failed") as raised:
            async with client_of(free_port(), wait=0.2):
                pass
        assert "wait=None" in raised.value.hint

    async def test_where_nobody_answers_is_an_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(CannotConnect, match="no answer"):
            async with client_of(mute.getsockname()[1], wait=0.2):
                pass

    async def test_waits_for_a_server_that_comes_later(self, site: V1Site) -> None:
        await site.set("a", n=1)
        port, waits = free_port(), Waits()
        async with client_of(port, wait=None, backoff=waits) as client:
            items = client.group(*ROOM)
            reading = asyncio.ensure_future(following(items))
            await asyncio.wait_for(waits.fourth.wait(), SECONDS)
            assert (client.status, reading.done()) == ("connecting", False) or client.status == "offline"
            relay = Relay(site.server.port)
            await relay.listen(port)
            assert await reading == [item("a", 1)]
            await items.aclose()
            relay.refuse()
        assert waits.told[:4] == [0.25, 0.5, 1.0, 1.0]

    async def test_waits_are_short_again_once_a_server_has_spoken(self, site: V1Site, relay: Relay) -> None:
        waits = Waits()
        async with client_of(relay.port, backoff=waits) as client, aclosing(client.group(*ROOM)) as items:
            for n in range(3):
                await site.set("a", n=n)
                await reads(items, [item("a", n)])
                relay.cut()
        assert set(waits.told) <= {0.25, 0.5}

    @pytest.mark.parametrize(
        "url", ["", "127.0.0.1:3000", "ftp://host", "http://", "http://[::1", "http://host:port", "/path"]
    )
    def test_an_address_that_is_none_is_told_at_once(self, url: str) -> None:
        with pytest.raises(InvalidInput, match="no address of a server") as raised:
            connect(url)
        assert "http://127.0.0.1:3000" in raised.value.hint

    def test_a_heartbeat_of_no_time_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="heartbeat"):
            connect("http://127.0.0.1:3000", heartbeat=0)

    async def test_a_server_that_speaks_something_else_is_not_spoken_to(self) -> None:
        async def hang(connection: ServerConnection) -> None:
            await connection.wait_closed()

        async with serve(hang, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with pytest.raises(CannotConnect, match=r"does not speak headwater\.v1"):
                async with client_of(port, wait=0.5):
                    pass

    async def test_to_give_up_entering_leaves_nothing_behind(self, site: V1Site) -> None:
        before = asyncio.all_tasks()
        entering = asyncio.create_task(client_of(free_port()).__aenter__())
        await asyncio.sleep(0)
        entering.cancel()
        await asyncio.wait([entering])
        assert entering.cancelled()
        assert asyncio.all_tasks() <= before


class TestTokens:
    async def test_a_plain_one_is_a_subprotocol(self, site: V1Site) -> None:
        async with client_of(site.server.port, token="abc.DEF-1_~"):
            offered = site.peers[-1].headers["sec-websocket-protocol"]
            assert offered == "headwater.v1, headwater.token.abc.DEF-1_~"

    async def test_one_with_other_signs_is_in_the_address(self, site: V1Site) -> None:
        async with connect(f"ws://127.0.0.1:{site.server.port}/x?a=1", token="a b/ä=="):
            assert site.peers[-1].headers["sec-websocket-protocol"] == "headwater.v1"
            assert site.peers[-1].url == "/x?a=1&authToken=a%20b%2F%C3%A4%3D%3D"

    async def test_a_function_is_asked_before_each_connect(self, site: V1Site, relay: Relay) -> None:
        given: list[str] = []

        async def token() -> str:
            given.append(f"t{len(given)}")
            return given[-1]

        async with client_of(relay.port, token=token) as client:
            assert site.peers[-1].headers["sec-websocket-protocol"].endswith(".t0")
            relay.cut()
            await until(lambda: len(site.peers) == 2 and client.status == "live")
            assert site.peers[-1].headers["sec-websocket-protocol"].endswith(".t1")

    async def test_a_function_may_be_a_plain_one(self, site: V1Site) -> None:
        async with client_of(site.server.port, token=lambda: "plain"):
            assert site.peers[-1].headers["sec-websocket-protocol"].endswith(".plain")

    async def test_a_function_that_fails_is_asked_again(
        self, site: V1Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        answers: list[Callable[[], str]] = [lambda: str(1 // 0), lambda: "fine"]

        async def token() -> str:
            return answers.pop(0)()

        async with client_of(site.server.port, token=token):
            assert site.peers[-1].headers["sec-websocket-protocol"].endswith(".fine")
        assert "ZeroDivisionError" in caplog.text


class TestComingBack:
    async def test_after_a_restart_only_what_is_new_is_told(self, tmp_path: Path) -> None:
        server = Server(tmp_path / "project")
        await asyncio.to_thread(server.start)
        try:
            where = {"stream": "room", "group": "g"}
            await asyncio.to_thread(server.write, [{**where, "set": "a", "data": {"n": 1}}])
            async with connect(server.url) as client, aclosing(client.changes("room", "g")) as changes:
                assert (await following(changes)).kind == "create"
                await asyncio.to_thread(server.stop, signal.SIGKILL)
                await until(lambda: client.status != "live")
                await asyncio.to_thread(server.start)
                writes = [{**where, "set": "b", "data": {"n": 2}}, {**where, "delete": "a"}]
                await asyncio.to_thread(server.write, writes)
                told = {(await following(changes)).kind for _ in range(2)}
            assert told == {"create", "delete"}
        finally:
            await asyncio.to_thread(server.stop)

    async def test_a_half_open_connection_is_noticed_and_replaced(self, site: V1Site, relay: Relay) -> None:
        async with client_of(relay.port, heartbeat=0.1) as client, aclosing(client.group(*ROOM)) as items:
            assert await following(items) == []
            relay.freeze()
            await site.set("a", n=1)
            await reads(items, [item("a", 1)])
        assert relay.carried >= 2

    async def test_a_silent_server_is_asked_and_kept_where_it_answers(
        self, site: V1Site, relay: Relay
    ) -> None:
        async with client_of(relay.port, heartbeat=0.7) as client:
            (there,) = site.opening.sockets
            opened = there.heard
            await until(lambda: there.heard > opened)
            assert (client.status, relay.carried) == ("live", 1)

    async def test_what_was_unsubscribed_meanwhile_is_not_asked_for(self, site: V1Site, relay: Relay) -> None:
        async with client_of(relay.port) as client:
            kept, left = client.group(*ROOM), client.group("chat", "left")
            await following(kept)
            await following(left)
            relay.refuse()
            await until(lambda: client.status != "live")
            await left.aclose()
            await until(lambda: not site.durable.hub.groups)
            await relay.listen(relay.port)
            await site.set("a", n=1)
            await reads(kept, [item("a", 1)])
            assert site.durable.hub.groups == [ROOM]
            await kept.aclose()


class TestReading:
    async def test_an_item_is_none_while_there_is_none(self, site: V1Site) -> None:
        async with client_of(site.server.port) as client, aclosing(client.item(*ROOM, "a")) as states:
            assert await following(states) is None
            await site.set("b", n=1)
            await site.set("a", n=2)
            assert await following(states) == item("a", 2)
            await site.delete("a")
            assert await following(states) is None

    async def test_a_window_holds_the_newest(self, site: V1Site) -> None:
        for n in range(5):
            await site.set(f"i{n}", n=n)
        async with client_of(site.server.port) as client, aclosing(client.group(*ROOM, limit=2)) as states:
            assert [one["n"] for one in await following(states)] == [3, 4]

    async def test_who_gives_a_state_is_present_while_it_reads(self, site: V1Site, relay: Relay) -> None:
        async with client_of(site.server.port) as watching, client_of(relay.port) as client:
            there, states = watching.group("chat.presence", "room"), client.group(*ROOM, state={"n": 1})
            assert await following(there) == []
            assert await following(states) == []
            (first,) = await following(there)
            relay.cut()
            present = [first]
            while present in ([], [first]):
                present = await following(there)
            assert [one["n"] for one in present] == [1]
            await states.aclose()
            assert await following(there) == []
            await there.aclose()

    async def test_a_slow_reader_of_a_group_gets_the_latest_state(self, site: V1Site) -> None:
        async with client_of(site.server.port) as client, aclosing(client.group(*ROOM)) as states:
            assert await following(states) == []
            async with aclosing(client.group(*ROOM)) as other:
                for n in range(20):
                    await site.set("a", n=n)
                await reads(other, [item("a", 19)])
            assert await following(states) == [item("a", 19)]

    async def test_a_slow_reader_of_changes_gets_each_or_far_too_slow_their_sum(self, site: V1Site) -> None:
        async with client_of(site.server.port) as client, aclosing(client.changes(*ROOM)) as changes:
            await site.set("a", n=0)
            assert (await following(changes)).item == item("a", 0)
            async with aclosing(client.group(*ROOM)) as other:
                for n in range(1, 101):
                    await site.set("a", n=n)
                await reads(other, [item("a", 100)])
                assert [(await following(changes)).item["n"] for _ in range(100)] == list(range(1, 101))
                for n in range(EVENTS_KEPT + 2):
                    site.writer.set(*ROOM, "a", orjson.dumps(item("a", n)), origin=Origin())
                await site.set("b", n=1)
                await reads(other, [item("a", EVENTS_KEPT + 1), item("b", 1)])
                told = [await following(changes) for _ in range(3)]
            assert [(one.kind, one.item) for one in told] == [
                ("update", item("a", EVENTS_KEPT)),
                ("update", item("a", EVENTS_KEPT + 1)),
                ("create", item("b", 1)),
            ]

    async def test_a_slow_reader_of_events_misses_the_oldest(self, site: V1Site) -> None:
        async with client_of(site.server.port) as client:
            events, states = client.events(*ROOM), client.group(*ROOM)
            first = asyncio.ensure_future(following(events))
            await following(states)
            await until(lambda: len(site.durable.hub._feeds[ROOM].subscriptions) == 2)  # pyright: ignore
            await site.writer.send(*ROOM, None, b'{"type":"t","data":-1}', origin=Origin())
            assert await first == Event("t", -1)
            for n in range(EVENTS_KEPT + 10):
                await site.writer.send(*ROOM, None, b'{"type":"t","data":%d}' % n, origin=Origin())
            await site.set("a", n=1)
            await reads(states, [item("a", 1)])
            assert await following(events) == Event("t", 10)
            await events.aclose()
            await states.aclose()

    async def test_many_groups_are_followed_over_one_socket(self, site: V1Site) -> None:
        groups = [GroupKey("chat", f"g{number}") for number in range(300)]
        async with client_of(site.server.port) as client:
            readings = [client.group(*group) for group in groups]
            assert await asyncio.gather(*map(following, readings)) == [[]] * len(groups)
            assert len(site.opening.sockets) == 1
            for group in groups:
                site.writer.set(*group, "a", orjson.dumps({"g": list(group)}), origin=Origin())
            states = await asyncio.gather(*map(following, readings))
            assert [state[0]["g"] for state in states] == [list(group) for group in groups]
            for reading in readings:
                await reading.aclose()
            await until(lambda: not site.durable.hub.groups)


class TestEnding:
    @pytest.mark.parametrize("end", ["break", "cancel", "raise"])
    async def test_a_loop_that_is_left_ends_its_subscription(self, site: V1Site, end: str) -> None:
        inside = asyncio.Event()

        async def read(client: Client) -> None:
            async for _ in client.group(*ROOM):
                inside.set()
                if end == "break":
                    break
                if end == "raise":
                    raise LookupError
                await asyncio.Event().wait()

        async with client_of(site.server.port) as client:
            reading = asyncio.create_task(read(client))
            await asyncio.wait_for(inside.wait(), SECONDS)
            if end == "cancel":
                reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled() or isinstance(reading.exception(), LookupError | None)
            await until(lambda: not site.durable.hub.groups)
            assert client.status == "live"

    async def test_closing_ends_every_loop(self, site: V1Site) -> None:
        async def read(reading: AsyncIterator[Any]) -> str:
            async for _ in reading:
                pass
            return "ended"

        async with client_of(site.server.port) as client:
            readings: list[Awaitable[str]] = [
                asyncio.create_task(read(reading))
                for reading in (
                    client.group(*ROOM),
                    client.item(*ROOM, "a"),
                    client.changes(*ROOM),
                    client.events(*ROOM),
                )
            ]
            await until(lambda: len(site.durable.hub.groups) == 1)
        assert await asyncio.wait_for(asyncio.gather(*readings), SECONDS) == ["ended"] * 4
        assert (client.status, client.reason) == ("offline", "closed")
        assert [one async for one in client.group(*ROOM)] == []
        await until(lambda: not site.opening.sockets)

    async def test_closing_twice_is_harmless(self, site: V1Site) -> None:
        async with client_of(site.server.port) as client:
            await client.close()
        await client.close()


async def test_who_cancels_the_one_that_closes_it_is_heard(site: V1Site) -> None:
    asked, may_end = asyncio.Event(), asyncio.Event()

    async def token() -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()
        return ""

    client = client_of(site.server.port, token=token, wait=None)
    opening = asyncio.create_task(client.__aenter__())
    await asked.wait()
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing], timeout=SECONDS)
    assert closing.cancelled()
    may_end.set()
    opening.cancel()
    await asyncio.wait([opening], timeout=SECONDS)


async def test_it_is_live_when_what_it_reads_is_the_servers_state(site: V1Site) -> None:
    async with client_of(site.server.port) as client, aclosing(client.group("chat", "room")) as group:
        assert client.status == "live"
        reading = asyncio.create_task(following(group))
        while client.status == "live":
            await asyncio.sleep(0)
        assert client.status == "behind"
        await reading
        assert client.status == "live"


async def test_a_state_that_is_too_large_ends_the_reading_of_its_group_alone(site: V1Site) -> None:
    async with client_of(site.server.port) as client, aclosing(client.group(*ROOM)) as group:
        await following(group)
        with pytest.raises(SubscriptionEnded) as ended:
            await following(client.group("chat", "other", state={"picture": "x" * 1_100_000}))
        assert ended.value.details["reason"] == "TOO_LARGE"
        await site.set("a", n=1)
        assert [item["id"] for item in await following(group)] == ["a"]
        assert len(site.peers) == 1


async def test_what_the_server_refuses_is_raised_and_the_others_go_on() -> None:
    async with v1_site() as site:
        site.gate = StreamGate(site.catalog, no)
        site.declare(rights=Rights(read="rule"))
        async with client_of(site.server.port) as client, aclosing(client.group("news", "room")) as fine:
            await following(fine)
            for reading in (
                client.group(*ROOM),
                client.item(*ROOM, "a"),
                client.changes(*ROOM),
                client.events(*ROOM),
            ):
                with pytest.raises(SubscriptionEnded) as raised:
                    await following(reading)
                assert raised.value.details["reason"] == "STREAM_ACCESS_DENIED"
            await site.set("a", GroupKey("news", "room"), n=1)
            assert [item["id"] for item in await following(fine)] == ["a"]


async def test_what_is_read_of_a_stream_that_is_not_there_yet_comes_once_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with v1_site() as site, AsyncExitStack() as opened:
        site.gate = StreamGate(site.catalog, no)
        client = await opened.enter_async_context(client_of(site.server.port))
        later = GroupKey("later", "room")
        readings = client.group(*later), client.item(*later, "a"), client.changes(*later)
        first = [asyncio.create_task(following(one)) for one in readings]
        while caplog.text.count("It is followed once it is there.") < len(readings):
            await asyncio.sleep(0)
        site.catalog.declare([StreamRules(name="later")])
        assert [await first[0], await first[1]] == [[], None]
        await site.set("a", later, n=1)
        assert [item["id"] for item in await following(readings[0])] == ["a"]
        assert (await first[2]).kind == "create"
        for one in readings:
            await one.aclose()


async def no(*_: Any) -> bool:
    return False
