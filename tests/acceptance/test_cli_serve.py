"""`headwater create`, `dev`, `start` and `routes` as people meet them: processes, signals, ports, files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from headwater.client import connect as follow
from support import command
from support.command import DEADLINE, HEADWATER

headwater = partial(command.headwater, installed=True)
serving = partial(command.serving, installed=True)

MESSAGE = {"channel_id": "general", "message": "hello", "user_id": "ada"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project, as it is made."""
    folder = tmp_path_factory.mktemp("made")
    made = headwater("create", "chat", cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder / "chat"


@pytest.fixture
def chat(made: Path, tmp_path: Path) -> Path:
    """A new project to do with what one likes."""
    return shutil.copytree(made, tmp_path / "chat")


@pytest.fixture(scope="module")
def in_chat(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A new project that is served, to look at; only one test may write to it."""
    chat = shutil.copytree(made, tmp_path_factory.mktemp("served") / "chat")
    with serving("dev", "--port", "0", cwd=chat) as server:
        yield server.url, chat


def join(socket: ClientConnection, group: str) -> dict[str, Any]:
    data = {"streamName": "chatMessage", "groupId": group, "subscriptionId": "1"}
    socket.send(json.dumps({"type": "join", "data": data}))
    return json.loads(socket.recv(10))["event"]


def test_a_new_project_is_a_chat_that_runs_at_once(in_chat: tuple[str, Path]) -> None:
    url, _ = in_chat
    with connect(url.replace("http", "ws")) as one, connect(url.replace("http", "ws")) as two:
        assert join(one, "general") == {"type": "sync", "data": []}
        assert join(two, "general") == {"type": "sync", "data": []}
        posted = httpx.post(f"{url}/chat-messages", json=MESSAGE)
        assert posted.status_code == 201
        for window in (one, two):
            event = json.loads(window.recv(10))["event"]
            assert event == {"type": "create", "data": posted.json()}
        assert posted.json()["user_id"] == "ada"


def test_a_new_project_has_a_page_without_anything_from_elsewhere(in_chat: tuple[str, Path]) -> None:
    url, chat = in_chat
    page = httpx.get(url)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for path in (chat / "public").iterdir():
        assert httpx.get(f"{url}/{path.name}").content == path.read_bytes()
        external = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in external
        assert "https://" not in external


def test_a_message_that_is_wrong_is_refused_by_field(in_chat: tuple[str, Path]) -> None:
    url, _ = in_chat
    refused = httpx.post(f"{url}/chat-messages", json={"channel_id": "general"})
    assert refused.status_code == 400
    assert "message" in refused.text


def test_startup_prints_tables_and_the_address_without_colours(chat: Path) -> None:
    with serving("dev", "--port", "0", cwd=chat) as server:
        assert server.url.startswith("http://127.0.0.1:")
        lines = [line.split() for line in server.out.lines]
        assert [
            "POST",
            "/chat-messages",
            "open",
            "CreateChatMessage",
            "steps/create_message_step.py",
        ] in lines
        rights = ["open", "nobody", "nobody", "nobody", "readers"]
        assert ["chatMessage", *rights, "steps/chat_messages_stream.py"] in lines
        assert "\x1b" not in server.out.text
        assert server.stop() == 0
        assert "Traceback" not in server.err.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order_and_the_messages_are_kept(chat: Path, number: int) -> None:
    with serving("start", "--port", "0", cwd=chat) as server:
        posted = httpx.post(f"{server.url}/chat-messages", json=MESSAGE).json()
        assert server.stop(number) == 0
    with (
        serving("start", "--port", "0", cwd=chat) as server,
        connect(server.url.replace("http", "ws")) as window,
    ):
        assert join(window, "general") == {"type": "sync", "data": [posted]}


@pytest.mark.parametrize("does", ["os._exit(7)", "os.kill(os.getpid(), signal.SIGSEGV)", "time.sleep(600)"])
def test_start_ends_with_a_code_where_a_file_ends_or_hangs_the_worker_that_loads_it(
    chat: Path, does: str
) -> None:
    (chat / "steps" / "bad_step.py").write_text(f"import os, signal, time\n{does}\n")

    ended = headwater("start", "--port", "0", "--set", "workers.start_timeout=6", cwd=chat)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-2].startswith("error FILE_UNLOADABLE")
    assert "steps/bad_step.py" in ended.stderr.splitlines()[-2]
    assert "Ready" not in ended.stdout


def test_an_end_says_what_it_waits_for_and_a_second_signal_waits_for_nothing(chat: Path) -> None:
    (chat / "steps" / "slow_step.py").write_text(
        "import time\n"
        'config = {"type": "api", "name": "Slow", "path": "/slow", "method": "GET", "emits": []}\n'
        "def handler(req, ctx):\n    print('slow begins')\n    time.sleep(600)\n"
    )
    with serving("start", "--port", "0", "--set", "server.shutdown_timeout=600", cwd=chat) as server:
        client = threading.Thread(target=_get, args=(f"{server.url}/slow",))
        client.start()
        server.err.wait_for("slow begins")
        server.process.send_signal(signal.SIGINT)
        server.err.wait_for(r"Stopping once steps/slow_step\.py has ended, in 600 s at the latest")
        assert server.stop() == 0
        client.join()


def _get(url: str) -> None:
    """Ask for a page whose server may end before it answers."""
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(url, timeout=60)


def test_a_taken_port_is_one_message_with_a_hint(chat: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = headwater("dev", "--port", str(taken.getsockname()[1]), cwd=chat)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error CANNOT_LISTEN ")
    assert "Traceback" not in ended.stderr


def test_a_broken_file_is_reported_and_the_rest_is_served(chat: Path) -> None:
    (chat / "steps" / "broken_step.py").write_text("config = {\n\ndef handler(\n")
    with serving("start", "--port", "0", cwd=chat) as server:
        assert httpx.post(f"{server.url}/chat-messages", json=MESSAGE).status_code == 201
        server.out.wait_for(r"^error +SYNTAX_ERROR steps/broken_step\.py:\d")
        assert "Traceback" not in server.out.text + server.err.text


def test_a_reload_tells_what_changed_and_what_broke_and_what_was_mended(chat: Path) -> None:
    with serving("dev", "--port", "0", cwd=chat) as server:
        assert server.url
        step = chat / "steps" / "hello_step.py"
        step.write_text(
            'config = {"type": "api", "name": "Hello", "path": "/hello", "method": "GET", "emits": []}\n'
            "def handler(req, ctx):\n    return {'status': 200, 'body': 'hello'}\n"
        )
        server.out.wait_for(r"^  \+ GET /hello \(Hello\)$")
        assert httpx.get(f"{server.url}/hello").text == "hello"
        good = step.read_text()
        step.write_text("config = {")
        server.out.wait_for(r"^error +SYNTAX_ERROR steps/hello_step\.py")
        assert httpx.get(f"{server.url}/hello").text == "hello"
        step.write_text(good)
        server.out.wait_for(r"^  fixed steps/hello_step\.py")


async def test_a_stream_whose_file_is_written_later_is_followed_by_who_asked_before(
    chat: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving("dev", "--port", "0", cwd=chat) as server:
        assert server.url
        async with follow(server.url) as client, contextlib.aclosing(client.group("later", "g")) as states:
            waiting = asyncio.create_task(anext(states))
            while "There is no stream" not in caplog.text:
                await asyncio.sleep(0.01)
            (chat / "steps" / "later_stream.py").write_text(
                'config = {"name": "later", "schema": {"type": "object"}, "baseConfig": '
                '{"storageType": "default"}}\n'
            )
            assert await asyncio.wait_for(waiting, DEADLINE) == []


def test_a_json_log_is_json_line_by_line_and_has_the_address(chat: Path) -> None:
    with serving("start", "--port", "0", "--set", "log.format=json", cwd=chat) as server:
        ready = server.err.wait_for(r'^\{.*"message":"ready".*\}$')
        fields = json.loads(ready[0])["fields"]
        assert httpx.get(fields["url"]).status_code == 200
        assert (fields["routes"], fields["streams"], fields["problems"]) == (1, 1, 0)
        assert server.stop() == 0
        assert server.out.text == ""
        assert [json.loads(line) for line in server.err.lines]


def test_settings_come_from_the_environment_too(chat: Path) -> None:
    with serving("start", cwd=chat, HEADWATER_SERVER_PORT="0", HEADWATER_STORAGE_URL="memory:") as server:
        assert httpx.post(f"{server.url}/chat-messages", json=MESSAGE).status_code == 201
        assert not (chat / ".headwater" / "data.db").exists()


def test_routes_lists_a_project_without_serving_it(chat: Path) -> None:
    listed = headwater("routes", cwd=chat)
    assert listed.returncode == 0, listed.stderr
    assert "CreateChatMessage" in listed.stdout
    assert not (chat / ".headwater" / "data.db").exists()
    as_json = json.loads(headwater("routes", "--json", str(chat), cwd=chat.parent).stdout)
    assert [step["name"] for step in as_json["steps"]] == ["CreateChatMessage"]


def test_routes_ends_with_1_when_a_file_is_at_fault(chat: Path) -> None:
    (chat / "steps" / "broken_step.py").write_text("import nothing_of_that_name\n")
    listed = headwater("routes", cwd=chat)
    assert listed.returncode == 1
    assert "IMPORT_FAILED steps/broken_step.py:1" in listed.stdout
    assert "ModuleNotFoundError: No module named 'nothing_of_that_name'" in listed.stdout
    assert listed.stderr == ""


def test_an_empty_folder_is_served_and_says_so(tmp_path: Path) -> None:
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        assert httpx.get(server.url).status_code == 404
        assert "No steps and no streams found." in server.out.lines


def test_an_output_that_knows_only_ascii_is_enough(tmp_path: Path) -> None:
    refused = headwater("create", "größe", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert refused.returncode == 2
    assert r"gr\xf6\xdfe" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    piped = subprocess.run(
        f"{HEADWATER} config | head -n 1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (piped.stdout, piped.stderr) == ("[server]\n", "")
