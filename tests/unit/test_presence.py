"""Who is in a group now: presences come with a subscription, change, and go with it, in whatever store they
live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson
import pytest

from headwater.config import SocketSettings
from headwater.model import GroupKey
from headwater.storage.memory import MemoryStore
from headwater.storage.sqlite import SqliteStore
from support.v1_client import JudgedClient
from support.v1_stage import ROOM, V1Stage

SISTER = GroupKey("chat.presence", "room")


@pytest.fixture(params=["memory", "sqlite"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[V1Stage]:
    store = await SqliteStore.open(tmp_path / "data.db") if request.param == "sqlite" else MemoryStore()
    stage = V1Stage(socket=SocketSettings(max_state_bytes=100), fleeting=store)
    yield stage
    await stage.close()


def say(client: JudgedClient, message: dict[str, Any]) -> None:
    assert client.socket is not None
    assert client.socket.session is not None
    client.socket.session.message(orjson.dumps(message).decode())


def enter(client: JudgedClient, sub: int, state: Any, **more: Any) -> None:
    say(client, {"t": "sub", "sub": sub, "stream": "chat", "group": "room", "state": state, **more})


async def present(stage: V1Stage) -> list[dict[str, Any]]:
    """Who is there, without the ids that the server made."""
    await stage.exchange()
    page = await stage.fleeting.store.read(SISTER, after=0, limit_bytes=10**6)
    return [
        {key: value for key, value in orjson.loads(item.data).items() if key != "id"} for item in page.items
    ]


async def test_a_subscription_with_a_state_is_present(stage: V1Stage) -> None:
    client = stage.connect()
    enter(client, 1, {"name": "Ada"})

    assert await present(stage) == [{"name": "Ada"}]


async def test_a_subscription_without_a_state_is_not(stage: V1Stage) -> None:
    client = stage.connect()
    client.subscribe(ROOM, None, None)

    assert await present(stage) == []


async def test_a_client_cannot_choose_its_presence_id(stage: V1Stage) -> None:
    client = stage.connect()
    enter(client, 1, {"id": "mine"})
    await stage.exchange()

    (item,) = (await stage.fleeting.store.read(SISTER, after=0, limit_bytes=10**6)).items
    assert item.id != "mine"
    assert orjson.loads(item.data) == {"id": item.id}


async def test_a_state_is_changed_in_place(stage: V1Stage) -> None:
    client = stage.connect()
    enter(client, 1, {"typing": False})
    say(client, {"t": "state", "sub": 1, "state": {"typing": True}})

    assert await present(stage) == [{"typing": True}]


async def test_unsubscribing_leaves(stage: V1Stage) -> None:
    client = stage.connect()
    enter(client, 1, {"name": "Ada"})
    enter(client, 2, {"name": "Ben"})
    say(client, {"t": "unsub", "sub": 1})

    assert await present(stage) == [{"name": "Ben"}]


async def test_a_socket_that_ends_leaves(stage: V1Stage) -> None:
    client = stage.connect()
    enter(client, 1, {"name": "Ada"})
    await present(stage)
    client.disconnect()

    assert await present(stage) == []


@pytest.mark.parametrize(
    ("state", "stream", "code"),
    [({"long": "x" * 100}, "chat", "TOO_LARGE"), ({}, "news", "INVALID_INPUT")],
)
async def test_a_state_that_cannot_be_taken_refuses_the_subscription(
    stage: V1Stage, state: Any, stream: str, code: str
) -> None:
    client = stage.connect()
    enter(client, 1, state, stream=stream)
    await stage.exchange(client)

    assert [(error["code"], error["ended"], error["sub"]) for error in client.errors] == [(code, True, 1)]
    assert await present(stage) == []


async def test_a_change_that_is_too_large_leaves_the_state_as_it_was(stage: V1Stage) -> None:
    client = stage.connect()
    enter(client, 1, {"n": 1})
    say(client, {"t": "state", "sub": 1, "state": {"long": "x" * 100}})
    await stage.exchange(client)

    assert await present(stage) == [{"n": 1}]
    assert [(error["code"], "ended" in error) for error in client.errors] == [("TOO_LARGE", False)]


async def test_a_state_for_a_subscription_that_gave_none_is_an_error(stage: V1Stage) -> None:
    client = stage.connect()
    client.subscribe(ROOM, None, None)
    say(client, {"t": "state", "sub": 1, "state": {}})
    await stage.exchange(client)

    assert [error["code"] for error in client.errors] == ["INVALID_INPUT"]


async def test_followers_see_who_comes_and_goes(stage: V1Stage) -> None:
    follower, client = stage.connect(), stage.connect()
    there = follower.store.subscribe(*SISTER)
    follower.talk()

    async def until_there_are(*names: str) -> None:
        """A store on a disk answers a catch-up when its thread comes to it."""
        async with asyncio.timeout(30):
            while [item["name"] for item in there.state.items()] != [*names]:
                await stage.exchange(follower)

    await stage.exchange(follower)
    enter(client, 1, {"name": "Ada"})
    await until_there_are("Ada")
    client.disconnect()
    await until_there_are()
