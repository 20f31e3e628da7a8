"""What the messages of one v0 client do: joins, leaves, limits, access rules, one frame per change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

import orjson
import pytest

from headwater.config import SocketSettings
from headwater.errors import UnknownStream
from headwater.model import GroupKey
from headwater.peer import Peer
from headwater.protocol.clients.v0 import V0Wire
from headwater.server.live.gate import MOST_AWAITED, YES, Ask, Verdict
from headwater.server.live.session_v0 import V0Session
from headwater.streams.catalog import StreamRules
from support.stream_changes import ROOM
from support.stream_frames import Recorder
from support.stream_stage import StreamStage
from support.stream_store import turns

ME = Peer("websocket", "/", "192.0.2.1")


class Rules:
    """A Gate whose answers the test gives; None lets everybody in at once."""

    def __init__(self) -> None:
        self.guarded = False
        self.known = {"chat", "news"}
        self.asked: list[Ask] = []
        self.answers: list[asyncio.Future[Verdict]] = []

    def admit(self, ask: Ask) -> Verdict | Awaitable[Verdict]:
        stream = ask.group.stream
        if stream not in self.known:
            raise UnknownStream(f"There is no stream named {stream!r}.", stream=stream)
        if not self.guarded:
            return YES
        self.asked.append(ask)
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        return answer


class Stage(StreamStage):
    """One client of a stage."""

    def __init__(self, settings: SocketSettings | None = None) -> None:
        super().__init__()
        self.rules = Rules()
        self.client = Recorder()
        assert isinstance(self.wire, V0Wire)
        self.session = V0Session(
            self.client,
            self.wire,
            lambda _stream: self.hub,
            self.rules,
            settings or SocketSettings(max_id_bytes=100),
            ME,
            when_declared=self.catalog.when_declared,
        )

    def ask(self, kind: str, item: str | None = None, group: GroupKey = ROOM, sub: str | None = "s") -> None:
        data = {"streamName": group.stream, "groupId": group.group, "id": item, "subscriptionId": sub}
        self.session.message(orjson.dumps({"type": kind, "data": data}).decode())

    async def join(self, item: str | None = None, group: GroupKey = ROOM, sub: str = "s") -> None:
        self.ask("join", item, group, sub)
        await turns()

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.client.events]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [
            event["event"]["data"]
            for event in self.client.events
            if event["type"] == "event" and event["event"]["type"] == "error"
        ]


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    stage = Stage()
    yield stage
    stage.session.closed()
    await stage.close()


class TestJoins:
    async def test_to_a_group_and_an_item_get_a_sync_each(self, stage: Stage) -> None:
        await stage.set("a", n=1)
        await stage.join()
        await stage.join("a")
        assert [(message.get("id"), message["event"]["type"]) for message in stage.client.messages] == [
            (None, "sync"),
            ("a", "sync"),
        ]

    async def test_to_a_group_and_its_items_get_one_frame_per_change(self, stage: Stage) -> None:
        for order in ((None, "a", "b"), ("b", None, "a")):
            for item in order:
                await stage.join(item)
            stage.client.forget()
            await stage.set("a")
            await stage.set("c")
            await stage.delete("a")
            await stage.delete("c")
            await turns()
            assert stage.kinds == ["create", "create", "delete", "delete"]
            for item in order:
                stage.ask("leave", item)

    async def test_to_an_item_alone_get_its_changes_alone(self, stage: Stage) -> None:
        await stage.join("a")
        await stage.set("b")
        await stage.set("a")
        await turns()
        assert stage.kinds == ["sync", "create"]

    async def test_of_a_second_listener_get_a_sync_and_change_nothing_else(self, stage: Stage) -> None:
        await stage.join(sub="one")
        await stage.join(sub="two")
        await stage.set("a")
        await turns()
        assert stage.kinds == ["sync", "sync", "create"]

    async def test_of_unknown_streams_are_answered_with_an_error(self, stage: Stage) -> None:
        await stage.join(group=GroupKey("nope", "g"))
        [message] = stage.client.messages
        assert (message["streamName"], message["groupId"]) == ("nope", "g")
        assert stage.errors[0]["code"] == "STREAM_UNKNOWN"
        assert stage.hub.groups == []


class TestLeaves:
    async def test_end_the_frames(self, stage: Stage) -> None:
        await stage.join()
        stage.ask("leave")
        await stage.set("a")
        await turns()
        assert stage.kinds == ["sync"]
        assert stage.hub.groups == []

    async def test_of_one_listener_leave_the_other(self, stage: Stage) -> None:
        await stage.join(sub="one")
        await stage.join(sub="two")
        stage.ask("leave", sub="one")
        await stage.set("a")
        await turns()
        assert stage.kinds == ["sync", "sync", "create"]
        stage.ask("leave", sub="two")
        assert stage.hub.groups == []

    async def test_without_a_listeners_id_end_them_all(self, stage: Stage) -> None:
        await stage.join(sub="one")
        await stage.join(sub="two")
        stage.ask("leave", sub=None)
        assert stage.hub.groups == []

    async def test_of_the_group_let_the_items_speak_again(self, stage: Stage) -> None:
        await stage.join()
        await stage.join("a")
        stage.ask("leave")
        await stage.set("a")
        await turns()
        assert stage.kinds == ["sync", "sync", "create"]

    async def test_of_what_was_not_joined_are_ignored(self, stage: Stage) -> None:
        stage.ask("leave")
        stage.ask("leave", "a")
        assert stage.client.offers == []

    async def test_come_with_the_end_of_the_socket(self, stage: Stage) -> None:
        await stage.join()
        await stage.join("a", GroupKey("news", "g"))
        stage.session.closed()
        await stage.set("a")
        await turns()
        assert stage.kinds == ["sync", "sync"]
        assert stage.hub.groups == []


class TestBadMessages:
    @pytest.mark.parametrize(
        "text", ["", "hello", "{}", "[]", "1", "null", '{"type":"join"}', '{"type":"join","data":{}}']
    )
    async def test_are_answered_with_an_error_and_do_no_harm(self, stage: Stage, text: str) -> None:
        await stage.join()
        stage.session.message(text)
        await stage.set("a")
        await turns()
        assert stage.kinds == ["sync", "event", "create"]
        assert stage.errors[0]["code"] == "PROTOCOL_FAULT"


class TestLimits:
    @pytest.fixture
    async def stage(self) -> AsyncGenerator[Stage]:
        stage = Stage(SocketSettings(max_subscriptions=3, max_id_bytes=100))
        yield stage
        stage.session.closed()
        await stage.close()

    async def test_of_rooms_are_told_and_leave_those_there(self, stage: Stage) -> None:
        for name in "abcd":
            await stage.join(name)
        assert [error["code"] for error in stage.errors] == ["TOO_MANY"]
        assert stage.errors[0]["limit"] == 3
        stage.ask("leave", "a")
        await stage.join("d")
        assert len(stage.errors) == 1

    async def test_count_every_listener_of_a_room(self, stage: Stage) -> None:
        for number in range(10):
            await stage.join(sub=f"listener {number}")
        assert [error["code"] for error in stage.errors] == ["TOO_MANY"] * 7
        for number in range(3):
            stage.ask("leave", sub=f"listener {number}")
        assert stage.hub.groups == []
        await stage.join(sub="again")
        assert stage.kinds[-1] == "sync"

    async def test_do_not_count_a_listener_twice(self, stage: Stage) -> None:
        for _ in range(10):
            await stage.join(sub="one")
        assert stage.errors == []

    async def test_hold_after_rooms_that_were_refused(self, stage: Stage) -> None:
        for _ in range(10):
            await stage.join(group=GroupKey("nope", "g"))
        await stage.join()
        assert [error["code"] for error in stage.errors] == ["STREAM_UNKNOWN"] * 10
        assert stage.kinds[-1] == "sync"

    async def test_of_names_are_told(self, stage: Stage) -> None:
        await stage.join("x" * 101)
        assert (stage.errors[0]["code"], stage.errors[0]["limit"]) == ("PROTOCOL_FAULT", 100)


class TestAccessRules:
    async def test_are_asked_with_the_clients_own_context(self, stage: Stage) -> None:
        stage.rules.guarded = True
        stage.ask("join", "a")
        assert stage.rules.asked == [Ask(ME, ROOM, "a")]

    async def test_that_say_yes_let_in(self, stage: Stage) -> None:
        stage.rules.guarded = True
        stage.ask("join")
        await turns()
        assert stage.client.offers == []
        stage.rules.answers[0].set_result(YES)
        await turns()
        assert stage.kinds == ["sync"]

    @pytest.mark.parametrize("answer", [False, None, 1, "yes"])
    async def test_that_say_anything_but_yes_keep_out(self, stage: Stage, answer: Any) -> None:
        stage.rules.guarded = True
        stage.ask("join")
        stage.rules.answers[0].set_result(Verdict(answer))
        await turns()
        assert stage.errors[0]["code"] == "STREAM_ACCESS_DENIED"
        assert stage.hub.groups == []

    async def test_that_fail_keep_out(self, stage: Stage) -> None:
        stage.rules.guarded = True
        stage.ask("join")
        stage.rules.answers[0].set_exception(ZeroDivisionError("secret"))
        await turns()
        assert stage.errors[0]["code"] == "STREAM_ACCESS_DENIED"
        assert "secret" not in str(stage.client.messages)

    async def test_that_answer_after_the_client_left_change_nothing(self, stage: Stage) -> None:
        stage.rules.guarded = True
        stage.ask("join")
        stage.ask("leave")
        stage.rules.answers[0].set_result(YES)
        await turns()
        assert stage.client.offers == []
        assert stage.hub.groups == []

    async def test_are_asked_anew_by_one_who_left_and_came_back(self, stage: Stage) -> None:
        stage.rules.guarded = True
        stage.ask("join")
        stage.ask("leave")
        stage.ask("join")
        stage.rules.answers[0].set_result(YES)
        await turns()
        assert stage.client.offers == []
        stage.rules.answers[1].set_result(YES)
        await turns()
        assert stage.kinds == ["sync"]

    async def test_are_not_asked_without_bound(self) -> None:
        limit = 100
        stage = Stage(SocketSettings(max_subscriptions=limit))
        stage.rules.guarded = True
        for _ in range(limit + 50):
            stage.ask("join")
            stage.ask("leave")
        assert len(stage.rules.asked) == limit
        assert [error["code"] for error in stage.errors] == ["TOO_MANY"] * 50
        for answer in stage.rules.answers:
            answer.set_result(YES)
        await turns()
        stage.ask("join")
        assert len(stage.rules.asked) == limit + 1
        stage.session.closed()
        await stage.close()

    async def test_under_way_end_with_the_socket(self, stage: Stage) -> None:
        stage.rules.guarded = True
        stage.ask("join")
        await turns()
        stage.session.closed()
        await turns()
        assert stage.rules.answers[0].cancelled()


class TestSlowClients:
    async def test_get_a_fresh_sync_of_everything_once_drained(self, stage: Stage) -> None:
        await stage.join()
        await stage.join("a")
        stage.client.forget()
        stage.client.full = True
        await stage.set("a", n=1)
        await turns()
        await stage.set("a", n=2)
        await turns()
        stage.client.full = False
        stage.session.drained()
        await turns()
        assert {(message.get("id"), message["event"]["type"]) for message in stage.client.messages} == {
            (None, "sync"),
            ("a", "sync"),
        }
        assert [event["data"] for event in stage.client.events if isinstance(event["data"], dict)] == [
            {"n": 2, "id": "a"}
        ]

    async def test_are_told_of_a_refusal_once_they_have_drained(self, stage: Stage) -> None:
        stage.rules.guarded = True
        await stage.join("a")
        await stage.join("b")
        stage.client.full = True
        for answer in stage.rules.answers:
            answer.set_result(False)
        await turns()
        assert stage.client.offers == []
        stage.client.full = False
        stage.session.drained()
        assert [error["code"] for error in stage.errors] == ["STREAM_ACCESS_DENIED"] * 2


async def test_a_page_that_joined_before_its_stream_was_there_follows_when_it_is(stage: Stage) -> None:
    later = GroupKey("later", "room")
    await stage.join(group=later)
    await stage.join(group=GroupKey("later", "left"), sub="t")
    stage.ask("leave", group=GroupKey("later", "left"), sub="t")
    assert [error["code"] for error in stage.errors] == ["STREAM_UNKNOWN", "STREAM_UNKNOWN"]

    stage.rules.known.add("later")
    stage.catalog.declare([StreamRules(name="later")])
    await turns()

    assert stage.kinds == ["event", "event", "sync"]


async def test_who_waits_for_a_stream_is_bounded_in_listeners_of_one_room_too(stage: Stage) -> None:
    later = GroupKey("later", "room")
    names = [f"s{number}" for number in range(3 * MOST_AWAITED)]
    for name in names:
        await stage.join(group=later, sub=name)
    stage.rules.known.add("later")
    stage.catalog.declare([StreamRules(name="later")])
    await turns()
    assert stage.kinds[-1] == "sync"

    for name in names[-MOST_AWAITED:]:
        stage.ask("leave", group=later, sub=name)
    stage.client.forget()
    await stage.set("a", later)
    await turns()
    assert stage.kinds == []
