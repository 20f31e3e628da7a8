"""The chat with a model, from outside: real HTTP on both sides of it."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from support.command import Server, headwater
from support.llm_example import Endpoint, ask, chatting, ended, endpoint, example, stop, until
from support.typescript import compile_strictly

EXAMPLES = ("llm-chat", "llm-chat-typescript")
ROOMS = map("room-{}".format, itertools.count(1))


class Chat(NamedTuple):
    """A server of an example, the endpoint that it asks, and a room of the test's own."""

    server: Server
    place: Endpoint
    room: str

    def answering(self) -> list[Any]:
        """What is being answered in the room."""
        items = httpx.get(f"{self.server.url}/streams/answering/all").json()["items"]
        return [item for item in items if item["room"] == self.room]


@pytest.fixture(params=EXAMPLES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return example(request.param, tmp_path)


@pytest.fixture(scope="module", params=EXAMPLES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    project = example(request.param, tmp_path_factory.mktemp("chat"))
    with endpoint(key="k") as place, chatting(project, **place.settings) as server:
        yield Chat(server, place, "")


@pytest.fixture
def chat(shared: Chat) -> Iterator[Chat]:
    shared.place.shut()
    yield shared._replace(room=next(ROOMS))
    shared.place.gate.open()


async def test_an_answer_is_shown_while_it_is_written(chat: Chat) -> None:
    server, place, room = chat
    asked = await ask(server, room, "Show me code")
    begun = await until(server, room, asked, lambda item: item["status"] == "streaming")
    assert begun["local"] is False
    place.gate.grant(3)
    more = await until(server, room, asked, lambda item: item["text"] != "")
    assert more["status"] == "streaming"
    assert chat.answering() == [{"room": room, "id": asked}]
    place.gate.open()
    answer = await until(server, room, asked, ended)
    assert answer["status"] == "done"
    assert answer["text"].startswith(more["text"])
    assert answer["text"].endswith("not the whole text again.")


async def test_the_model_is_told_what_was_said_before(chat: Chat) -> None:
    server, place, room = chat
    place.gate.open()
    first = await until(server, room, await ask(server, room, "one"), ended)
    second = await until(server, room, await ask(server, room, "two"), ended)
    told = [message["content"] for message in place.model.last["messages"]]
    assert told[1:] == ["one", first["text"], "two"]
    assert "two" in second["text"]


async def test_questions_without_an_answer_between_them_are_one_turn(chat: Chat) -> None:
    server, place, room = chat
    place.gate.open()
    await until(server, room, await ask(server, room, "fail at once"), ended)
    place.model.refuses = {"stream_options"}
    try:
        answer = await until(server, room, await ask(server, room, "two"), ended)
    finally:
        place.model.refuses = set()
    assert [one["role"] for one in place.model.last["messages"]] == ["system", "user"]
    assert place.model.last["messages"][1]["content"] == "fail at once\n\ntwo"
    assert (answer["status"], "stream_options" in place.model.last) == ("done", False)
    assert "tokens" not in answer


async def test_rooms_are_answered_beside_each_other(chat: Chat) -> None:
    server, place, room = chat
    rooms = [f"{room}-{number}" for number in range(6)]
    asked = [await ask(server, one, f"question of {one}") for one in rooms]
    for one, answer in zip(rooms, asked, strict=True):
        await until(server, one, answer, lambda item: item["status"] == "streaming")
    place.gate.open()
    for one, answer in zip(rooms, asked, strict=True):
        assert f"question of {one}" in (await until(server, one, answer, ended))["text"]


async def test_a_stopped_answer_keeps_its_text_and_the_endpoint_stops_too(chat: Chat) -> None:
    server, place, room = chat
    before = place.model.left
    asked = await ask(server, room, "Write something long")
    place.gate.grant(5)
    await until(server, room, asked, lambda item: item["text"] != "")
    await stop(server, room, asked)
    await place.has_been_left(before)
    answer = await until(server, room, asked, lambda item: ended(item) and "seconds" in item)
    assert answer["status"] == "cancelled"
    assert answer["text"] != ""
    assert chat.answering() == []


async def test_what_goes_wrong_is_told_in_the_answer_and_can_be_asked_again(chat: Chat) -> None:
    server, place, room = chat
    place.gate.open()
    asked = await ask(server, room, "Break off in the middle")
    failed = await until(server, room, asked, ended)
    assert (failed["status"], failed["note"]) == ("error", "The server broke off, as it was asked to.")
    assert failed["text"] != ""
    refused = await until(server, room, await ask(server, room, "fail at once"), ended)
    assert (refused["status"], refused["text"]) == ("error", "")
    assert "429" in refused["note"]
    again = httpx.post(f"{server.url}/rooms/{room}/messages/{asked}/again")
    assert again.status_code == 202
    assert again.json()["status"] == "waiting"
    assert (await until(server, room, asked, ended))["status"] == "error"


async def test_what_is_no_question_is_refused(chat: Chat) -> None:
    address = f"{chat.server.url}/rooms/{chat.room}/messages"
    for body in ({}, {"text": ""}, {"text": "   "}, {"text": "x" * 9000}):
        assert httpx.post(address, json=body).status_code == 400
    assert httpx.post(f"{address}/nowhere/again").status_code == 404


# --- other settings ---


async def test_without_an_endpoint_it_answers_by_itself_and_says_so(project: Path) -> None:
    with chatting(project, LLM_LOCAL_SPEED="1000") as server:
        assert "Problems" not in server.out.text
        who = httpx.get(f"{server.url}/model", timeout=30).json()
        assert (who["local"], who["model"]) == (True, "local-stand-in")
        answer = await until(server, "r", await ask(server, "r", "Show me code"), ended)
        assert (answer["status"], answer["local"]) == ("done", True)
        assert "no language model" in answer["text"]
        assert answer["tokens"] > 50
        rooms = httpx.get(f"{server.url}/streams/rooms/all").json()["items"]
        assert [(room["id"], room["title"]) for room in rooms] == [("r", "Show me code")]
        assert httpx.get(f"{server.url}/streams/answering/all").json()["items"] == []
        broken = await until(server, "r", await ask(server, "r", "Break off in the middle"), ended)
        assert (broken["status"], broken["note"]) == ("error", "The server broke off, as it was asked to.")
        refused = await until(server, "r", await ask(server, "r", "fail at once"), ended)
        assert "429" in refused["note"]
        again = await until(server, "r", await ask(server, "r", "Break off in the middle"), ended)
        assert again["note"] == broken["note"]


async def test_an_endpoint_that_goes_away_is_told_of(project: Path) -> None:
    with endpoint() as place:
        settings = place.settings
    with chatting(project, **settings) as server:
        failed = await until(server, "r", await ask(server, "r", "Hello"), ended)
        assert failed["status"] == "error"
        assert "cannot be reached" in failed["note"]


async def test_a_wrong_key_is_told_of_and_nobody_is_told_the_key(project: Path) -> None:
    with endpoint(key="right") as place:
        settings = place.settings | {"LLM_API_KEY": "wrong-key-of-mine"}
        with chatting(project, **settings) as server:
            failed = await until(server, "r", await ask(server, "r", "Hello"), ended)
            who = httpx.get(f"{server.url}/model")
    assert "401" in failed["note"]
    everything = f"{failed} {who.text} {server.out.text} {server.err.text}"
    assert "wrong-key-of-mine" not in everything


async def test_a_key_without_an_address_asks_for_one(project: Path) -> None:
    with chatting(project, LLM_API_KEY="k") as server:
        failed = await until(server, "r", await ask(server, "r", "Hello"), ended)
        assert "LLM_BASE_URL" in failed["note"]


async def test_what_nobody_writes_any_more_can_be_stopped(chat: Chat) -> None:
    server, place, room = chat
    place.gate.open()
    asked = await ask(server, room, "Show me code")
    answer = await until(server, room, asked, ended)
    await stop(server, room, asked)
    assert (await until(server, room, asked, ended)) == answer


# --- a restart in the middle ---


@pytest.mark.parametrize("choice", ["anew", "continue"])
async def test_an_answer_survives_a_kill_of_the_server(project: Path, choice: str) -> None:
    with endpoint() as place:
        settings = place.settings | {"LLM_AFTER_RESTART": choice}
        with chatting(project, **settings) as server:
            asked = await ask(server, "r", "Show me code")
            place.gate.grant(20)
            begun = await until(server, "r", asked, lambda item: len(item["text"]) > 60)
            server.stop(signal.SIGKILL)
        place.shut()
        with chatting(project, **settings) as server:
            again = await until(server, "r", asked, lambda item: item.get("attempt") == 2)
            assert again["status"] == "streaming"
            assert again["resumed"] is (choice == "continue")
            assert again["text"].startswith(begun["text"] if choice == "continue" else "")
            place.gate.open()
            answer = await until(server, "r", asked, ended)
        assert answer["status"] == "done"
        assert answer["text"].count("That is the whole trick") == 1
        assert answer["text"].endswith("not the whole text again.")
        assert (place.model.last["messages"][-1]["role"] == "assistant") is (choice == "continue")


async def test_questions_of_a_room_are_answered_one_after_the_other(chat: Chat) -> None:
    server, place, room = chat
    first = await ask(server, room, "one")
    second = await ask(server, room, "two")
    await until(server, room, first, lambda item: item["status"] == "streaming")
    assert (await until(server, room, second, bool))["status"] == "waiting"
    await stop(server, room, second)
    assert (await until(server, room, second, ended))["status"] == "cancelled"
    third = await ask(server, room, "three")
    place.gate.open()
    assert (await until(server, room, third, ended))["status"] == "done"
    assert (await until(server, room, first, ended))["status"] == "done"
    assert (await until(server, room, second, ended))["text"] == ""


# --- types ---


@pytest.mark.npm
def test_the_example_in_typescript_checks_strictly_with_types_that_are_up_to_date(tmp_path: Path) -> None:
    project = example("llm-chat-typescript", tmp_path)
    checked = headwater("types", "--check", cwd=project)
    assert checked.returncode == 0, checked.stdout
    assert compile_strictly(project) == []
