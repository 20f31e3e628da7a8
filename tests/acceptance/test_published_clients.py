"""The old framework's published clients work unmodified, oldest and newest, as built for Node and for
browsers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from support.published_client import INSTALLED, PublishedClient
from support.scenario_server import Server

PACKAGES = ["node-0.8", "node-0.17", "browser-0.8", "browser-0.17"]

pytestmark = [
    pytest.mark.npm,
    pytest.mark.skipif(not INSTALLED, reason="the published clients are not installed; `make npm` does it"),
]


class Rooms:
    """The one server of these tests, with groups of a test's own."""

    def __init__(self, server: Server, prefix: str) -> None:
        self.server = server
        self.prefix = prefix

    def write(self, *writes: dict[str, Any], group: str = "g") -> None:
        """Write to `room`, in order."""
        where = {"stream": "room", "group": self.prefix + group}
        assert self.server.write([{**where, **one} for one in writes]) == ""

    def open(self, client: PublishedClient) -> None:
        """Connect it, as `c`; what it joins are groups of this test."""
        client.prefix = self.prefix
        client.do("open", client="c", url=self.server.url)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("published") / "project")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def rooms(request: pytest.FixtureRequest, running: Server) -> Rooms:
    return Rooms(running, f"{request.node.name}/")


@pytest.fixture(params=PACKAGES)
def client(request: pytest.FixtureRequest, rooms: Rooms) -> Iterator[PublishedClient]:
    client = PublishedClient(request.param)
    rooms.open(client)
    yield client
    client.close()


def test_a_page_follows_a_group_and_an_item_of_it_on_one_socket(
    rooms: Rooms, client: PublishedClient
) -> None:
    rooms.write({"set": "a", "data": {"n": 1}})
    client.join("group", "room", "g")
    client.join("item", "room", "g", "a")
    client.wait("group", [{"id": "a", "n": 1}])
    client.wait("item", {"id": "a", "n": 1})
    rooms.write({"set": "a", "data": {"n": 2}}, {"set": "b", "data": {"n": 1}})
    client.wait("group", [{"id": "a", "n": 2}, {"id": "b", "n": 1}])
    client.wait("item", {"id": "a", "n": 2})
    rooms.write({"delete": "a"})
    client.wait("group", [{"id": "b", "n": 1}])
    client.wait("item", None)
    rooms.write({"set": "a", "data": {"n": 3}})
    client.wait("group", [{"id": "b", "n": 1}, {"id": "a", "n": 3}])
    client.wait("item", {"id": "a", "n": 3})


def test_an_item_that_is_not_there_is_null_until_it_comes(rooms: Rooms, client: PublishedClient) -> None:
    client.join("item", "room", "g", "a")
    client.wait_for("item", "changes", 1)
    assert client.state("item") is None
    rooms.write({"set": "a", "data": {"n": 1}})
    client.wait("item", {"id": "a", "n": 1})


def test_groups_whose_names_begin_alike_and_items_with_one_id_are_kept_apart(
    rooms: Rooms, client: PublishedClient
) -> None:
    client.join("a", "room", "a")
    client.join("ab", "room", "ab")
    client.join("item", "room", "a", "x")
    rooms.write({"set": "x", "data": {"of": "ab"}}, group="ab")
    client.wait("ab", [{"id": "x", "of": "ab"}])
    rooms.write({"set": "y", "data": {"of": "a"}}, group="a")
    client.wait("a", [{"id": "y", "of": "a"}])
    assert client.state("item") is None


def test_events_reach_the_group_or_the_item_they_are_for(rooms: Rooms, client: PublishedClient) -> None:
    client.join("group", "room", "g", events=["typing", "wave"])
    client.join("item", "room", "g", "a", events=["typing", "wave"])
    rooms.write({"set": "a", "data": {}})
    client.wait("group", [{"id": "a"}])
    client.wait("item", {"id": "a"})
    rooms.write({"send": {"type": "typing", "data": 1}}, {"send": {"type": "wave", "data": 2}, "id": "a"})
    client.wait_for("group", "events", [["typing", 1], ["wave", 2]])
    client.wait_for("item", "events", [["wave", 2]])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["restart", "kill"])
def test_a_page_goes_on_after_the_server_was_gone_and_shows_what_happened_meanwhile(
    rooms: Rooms, client: PublishedClient, end: signal.Signals
) -> None:
    rooms.write(*({"set": f"i{n}", "data": {"n": n}} for n in range(3)))
    client.join("group", "room", "g")
    client.join("item", "room", "g", "i0")
    client.wait("group", [{"id": f"i{n}", "n": n} for n in range(3)])
    rooms.write(
        *({"set": "i1", "data": {"n": n}} for n in range(1500))
    )  # Stamps run close to the clock, or ahead.
    client.wait("group", [{"id": "i0", "n": 0}, {"id": "i1", "n": 1499}, {"id": "i2", "n": 2}])
    rooms.server.stop(end)
    rooms.server.start()
    rooms.write({"delete": "i0"}, {"set": "i1", "data": {"n": -1}})
    client.wait("group", [{"id": "i1", "n": -1}, {"id": "i2", "n": 2}])
    client.wait("item", None)
    rooms.write({"set": "i0", "data": {"n": 9}}, {"set": "i1", "data": {"n": -2}})
    client.wait("group", [{"id": "i1", "n": -2}, {"id": "i2", "n": 2}, {"id": "i0", "n": 9}])
    client.wait("item", {"id": "i0", "n": 9})


def test_after_leaving_nothing_more_comes(rooms: Rooms, client: PublishedClient) -> None:
    client.join("left", "room", "g")
    client.join("stays", "room", "h")
    rooms.write({"set": "a", "data": {}})
    client.wait("left", [{"id": "a"}])
    client.do("leave", **{"as": "left"})
    rooms.write({"set": "b", "data": {}})
    rooms.write({"set": "c", "data": {}}, group="h")
    client.wait("stays", [{"id": "c"}])
    assert client.state("left") == [{"id": "a"}]


def test_two_clients_agree_under_a_storm_of_writes(rooms: Rooms) -> None:
    clients = [PublishedClient(package) for package in ("node-0.8", "browser-0.17")]
    try:
        for client in clients:
            rooms.open(client)
            client.join("group", "room", "g")
        for turn in range(5):
            rooms.write(*({"set": f"i{n}", "data": {"turn": turn}} for n in range(100)))
            rooms.write(*({"delete": f"i{n}"} for n in range(turn, 100, 7)))
        wanted = rooms.server.get(f"/streams?stream=room&group={quote(rooms.prefix + 'g', safe='')}")[1][
            "items"
        ]
        for client in clients:
            client.wait("group", wanted)
    finally:
        for client in clients:
            client.close()
