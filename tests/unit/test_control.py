"""The control socket: questions and answers, limits, permissions, dead and living servers, long paths."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from headwater.control import place as places
from headwater.control import server as serving
from headwater.control.client import ask, runs
from headwater.control.place import ControlPlace, folder_of
from headwater.control.server import ControlServer
from headwater.errors import (
    AlreadyRunning,
    ConfigError,
    HeadwaterError,
    InvalidInput,
    NoServer,
    Overloaded,
    ProtocolFault,
    TooLarge,
    UnknownStep,
)
from headwater.operating.messages import Question, read_answer

LINE_BYTES = 4096


async def count(args: Mapping[str, Any]) -> AsyncGenerator[Any]:
    for number in range(args["to"]):
        yield number


async def refuse(_args: Mapping[str, Any]) -> AsyncGenerator[Any]:
    yield "first"
    raise UnknownStep("No such step.", hint="Look.", step="s")


async def break_down(_args: Mapping[str, Any]) -> AsyncGenerator[Any]:
    raise ZeroDivisionError
    yield


METHODS = {"count": count, "refuse": refuse, "break": break_down}


class Site:
    """A control server in a folder."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.place = ControlPlace(project)
        self.server = ControlServer(self.place, METHODS, LINE_BYTES)

    async def ask(self, method: str, **args: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(ask(self.project, method, **args)))

    async def say(self, line: bytes) -> bytes:
        """Send bytes and answer all that comes back."""
        async with self.link() as (reader, writer):
            writer.write(line)
            writer.write_eof()
            return await reader.read()

    @asynccontextmanager
    async def link(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_unix_connection(folder_of(self.project) / places.SOCKET)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def close(self) -> None:
        await self.server.stop()
        self.place.leave()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    site = Site(tmp_path)
    await site.server.start()
    yield site
    await site.close()


async def test_entries_come_in_order(site: Site) -> None:
    assert await site.ask("count", to=1000) == list(range(1000))
    assert await site.ask("count", to=0) == []


async def test_an_error_keeps_its_kind_message_hint_and_details(site: Site) -> None:
    with pytest.raises(UnknownStep) as caught:
        await site.ask("refuse")
    assert caught.value.to_dict() == {
        "code": "STEP_UNKNOWN",
        "message": "No such step.",
        "hint": "Look.",
        "step": "s",
    }


async def test_what_the_server_does_not_know_is_refused_with_its_version(site: Site) -> None:
    with pytest.raises(InvalidInput, match="knows no 'nothing'; it is Headwater"):
        await site.ask("nothing")


async def test_a_method_that_breaks_is_an_error_without_a_traceback(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(HeadwaterError, match="The server failed at this") as caught:
        await site.ask("break")
    assert caught.value.code == "INTERNAL"
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"method": 1}\n',
        b'{"method": "count", "args": []}\n',
        b"x" * 100,
    ],
)
async def test_a_malformed_line_is_told_and_harms_nobody(site: Site, line: bytes) -> None:
    assert b'"PROTOCOL_FAULT"' in await site.say(line)
    assert await site.ask("count", to=2) == [0, 1]


async def test_a_line_that_is_too_long_is_refused(site: Site) -> None:
    with pytest.raises(TooLarge, match="4096 bytes"):
        await site.ask("count", to=1, more="x" * LINE_BYTES * 3)
    assert await site.ask("count", to=1) == [0]


async def test_who_says_nothing_is_let_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ASK_SECONDS", 0.01)
    async with site.link() as (reader, _):
        assert b'"TIMED_OUT"' in await reader.read()


async def test_more_than_so_many_at_once_are_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 2)
    async with site.link(), site.link():
        with pytest.raises(Overloaded):
            await site.ask("count", to=1)
    assert await site.ask("count", to=1) == [0]


async def test_who_goes_in_the_middle_of_an_answer_harms_nobody(site: Site) -> None:
    async with site.link() as (_, writer):
        writer.write(b'{"method":"count","args":{"to":1000000}}\n')
        await writer.drain()
    assert await site.ask("count", to=2) == [0, 1]


async def test_the_end_of_the_server_ends_an_answer_that_nobody_reads(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "END_SECONDS", 0.01)
    async with site.link() as (reader, writer):
        writer.write(b'{"method":"count","args":{"to":100000000}}\n')
        assert await reader.readline() == b'{"entry":0}\n'
        await site.server.stop()


async def test_an_answer_that_is_cut_off_is_no_answer() -> None:
    with pytest.raises(ProtocolFault, match="ended before"):
        list(read_answer([b'{"entry":1}\n']))


async def test_only_the_owner_may_use_the_socket(site: Site) -> None:
    folder = folder_of(site.project)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / places.SOCKET).stat().st_mode) == 0o600
    assert stat.S_ISSOCK((folder / places.SOCKET).stat().st_mode)


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    folder_of(tmp_path).mkdir(mode=0o755)
    ControlPlace(tmp_path).leave()
    assert stat.S_IMODE(folder_of(tmp_path).stat().st_mode) == 0o700


async def test_a_second_server_is_refused_and_leaves_the_first_alone(site: Site) -> None:
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}") as caught:
        ControlPlace(site.project)
    assert isinstance(caught.value, ConfigError)
    assert await site.ask("count", to=1) == [0]


async def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    folder_of(tmp_path).mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder_of(tmp_path) / places.SOCKET))
    left.close()
    with pytest.raises(NoServer):
        list(ask(tmp_path, "count", to=1))
    assert not runs(tmp_path)
    site = Site(tmp_path)
    await site.server.start()
    assert await site.ask("count", to=1) == [0]
    await site.close()


async def test_nothing_is_left_of_a_server_that_ended_but_the_lock(site: Site) -> None:
    other = site.project / "other"
    other.mkdir()
    second = Site(other)
    await second.server.start()
    await second.close()
    assert [path.name for path in folder_of(other).iterdir()] == [places.LOCK]
    with pytest.raises(NoServer, match="No server runs for"):
        list(ask(other, "count", to=1))


@pytest.mark.parametrize("name", ["x" * 120, "ü" * 60])
async def test_a_path_longer_than_an_address_may_be_works(tmp_path: Path, name: str) -> None:
    project = tmp_path / name / "deep" / name
    project.mkdir(parents=True)
    site = Site(project)
    await site.server.start()
    assert await site.ask("count", to=2) == [0, 1]
    assert stat.S_IMODE((folder_of(project) / places.SOCKET).stat().st_mode) == 0o600
    await site.close()
    assert not (folder_of(project) / places.SOCKET).exists()


def test_an_argument_that_json_cannot_hold_is_the_askers_fault() -> None:
    with pytest.raises(InvalidInput, match=r"queue\.dead"):
        Question("queue.dead", {"limit": 10**30}).encode()
