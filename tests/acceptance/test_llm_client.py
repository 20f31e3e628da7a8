"""The official client of the endpoints' format, blocking, in an `async def`: its own package, unchanged."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.command import Server
from support.llm_example import Endpoint, ask, chatting, ended, endpoint, example, stop, until


@pytest.fixture
def place() -> Iterator[Endpoint]:
    with endpoint(key="k") as place:
        yield place


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example with the other step in the place of its own."""
    project = example("llm-chat", tmp_path)
    shutil.move(project / "variants" / "answer_with_client_step.py", project / "steps" / "answer_step.py")
    return project


@pytest.fixture
def server(project: Path, place: Endpoint) -> Iterator[Server]:
    with chatting(project, **place.settings) as server:
        assert "Problems" not in server.out.text
        yield server


async def test_sets_that_nobody_awaits_are_shown_while_the_handler_blocks(
    server: Server, place: Endpoint
) -> None:
    asked = await ask(server, "r", "Show me code")
    place.gate.grant(3)
    begun = await until(server, "r", asked, lambda item: item["text"] != "")
    assert begun["status"] == "streaming"
    place.gate.grant(3)
    more = await until(server, "r", asked, lambda item: len(item["text"]) > len(begun["text"]))
    assert more["text"].startswith(begun["text"])
    assert more["status"] == "streaming"
    place.gate.open()
    answer = await until(server, "r", asked, ended)
    assert answer["status"] == "done"
    assert answer["text"].endswith("not the whole text again.")


async def test_rooms_are_answered_beside_each_other_and_requests_beside_them(
    server: Server, place: Endpoint
) -> None:
    rooms = [f"r{number}" for number in range(5)]
    asked = [await ask(server, room, f"question of {room}") for room in rooms]
    place.gate.grant(2 * len(rooms))
    for room, answer in zip(rooms, asked, strict=True):
        await until(server, room, answer, lambda item: item["status"] == "streaming")
    assert httpx.get(f"{server.url}/model", timeout=30).json()["model"] == "local-stand-in"
    place.gate.open()
    for room, answer in zip(rooms, asked, strict=True):
        assert f"question of {room}" in (await until(server, room, answer, ended))["text"]


async def test_it_is_stopped_between_two_pieces(server: Server, place: Endpoint) -> None:
    before = place.model.left
    asked = await ask(server, "r", "Write something long")
    place.gate.grant(5)
    await until(server, "r", asked, lambda item: item["text"] != "")
    await stop(server, "r", asked)
    await place.has_been_left(before)
    answer = await until(server, "r", asked, ended)
    assert (answer["status"], answer["text"] != "") == ("cancelled", True)


async def test_what_the_client_raises_is_told_in_the_answer(server: Server, place: Endpoint) -> None:
    place.gate.open()
    refused = await until(server, "r", await ask(server, "r", "fail at once"), ended)
    assert refused["status"] == "error"
    assert "429" in refused["note"]
    broken = await until(server, "r", await ask(server, "r", "Break off in the middle"), ended)
    assert (broken["status"], broken["note"]) == ("error", "The server broke off, as it was asked to.")
    assert broken["text"] != ""


async def test_an_answer_survives_a_kill_of_the_server(project: Path, place: Endpoint) -> None:
    with chatting(project, **place.settings) as server:
        asked = await ask(server, "r", "Show me code")
        place.gate.grant(20)
        await until(server, "r", asked, lambda item: len(item["text"]) > 60)
        server.stop(signal.SIGKILL)
    place.shut()
    place.gate.open()
    with chatting(project, **place.settings) as server:
        answer = await until(server, "r", asked, ended)
    assert (answer["status"], answer["attempt"]) == ("done", 2)
    assert answer["text"].count("That is the whole trick") == 1
    assert answer["text"].endswith("not the whole text again.")
