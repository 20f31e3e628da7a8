"""Behind Debian's nginx, by the files that the page about deploying prints."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import InvalidStatus

from headwater.client import connect
from headwater.config import ServerSettings, SocketSettings
from headwater.server.live.sse import COMMENT_SECONDS
from support.command import DEADLINE, serving
from support.steps_project import api, stream, write
from support.tree import text

NGINX = shutil.which("nginx")
PAGE = text(Path("docs/deploying.md"))
BLOCKS = dict(re.findall(r"^```\w+\n# ([\w./-]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
CONFIGURATION = BLOCKS["/etc/nginx/conf.d/headwater.conf"]

NGINX_SECONDS = 60
"""Silence after which nginx gives up a connection, by default: proxy_read_timeout, and its own keepalive."""

WHOLE = """
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {configuration}
}}
"""

FILES = {
    "steps/room_stream.py": stream("room"),
    "steps/put_step.py": api(
        "/put/:group",
        "await ctx.streams.room.set(req['pathParams']['group'], 'a', {'n': 1}); return {'status': 204}",
    ),
    "steps/tell_step.py": api("/tell", "return {'status': 200, 'body': req['headers']}", method="GET"),
    "public/docs/index.html": "<h1>docs</h1>",
    "headwater.toml": BLOCKS["headwater.toml"],
}


class Front(NamedTuple):
    """nginx with the server behind it: `port` is nginx's, `url` where browsers see the server."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/app/"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if NGINX is None:
        pytest.skip("no nginx on this machine; Debian's nginx-light brings it (`make edge`)")
    project, folder = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("nginx")
    write(project, FILES)
    with serving("start", "--port", "0", cwd=project) as server, closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        behind = server.url.removeprefix("http://")
        configuration = CONFIGURATION.replace("127.0.0.1:3000", behind)
        configuration = configuration.replace("listen 80", f"listen 127.0.0.1:{port}")
        user = "" if os.getuid() else "user root;"
        whole = WHOLE.format(folder=folder, configuration=configuration, user=user)
        (folder / "nginx.conf").write_text(whole)
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            until_it_listens(port, process)
            yield Front(port)
        finally:
            process.terminate()
            process.wait(DEADLINE)


def until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "nginx ended"
        else:
            return


async def test_who_asks_and_by_which_name_is_what_nginx_saw(front: Front) -> None:
    # Of another address than nginx, which is believed: of this machine's there are many.
    afar = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    lies = {"x-forwarded-for": "192.0.2.1", "forwarded": "for=192.0.2.2", "x-forwarded-prefix": "/evil"}
    async with httpx.AsyncClient(transport=afar, base_url=front.url) as client:
        told = (await client.get("tell", headers={"host": "app.example.com", **lies})).json()
        assert (await client.get("tell", headers={"host": "evil.example"})).status_code == 403
    seen = {name: told[name] for name in told if name.startswith("x-") or name in ("host", "forwarded")}
    assert seen == {
        "host": "app.example.com",
        "x-forwarded-for": "127.0.0.2",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "app.example.com",
    }


async def test_everything_is_below_the_prefix(front: Front) -> None:
    async with httpx.AsyncClient(base_url=front.url) as client:
        assert (await client.get("docs")).headers["location"] == "/app/docs/"
        assert (await client.get("docs/")).text == "<h1>docs</h1>"
        script = await client.get("headwater/client.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert (await client.get("streams/room/none")).json()["items"] == []


async def test_a_socket_is_live_and_pages_of_elsewhere_have_none(front: Front) -> None:
    async with connect(front.url) as client, httpx.AsyncClient(base_url=front.url) as writer:
        group = client.group("room", "g")
        assert await anext(group) == []
        await writer.post("put/g")
        assert await anext(group) == [{"id": "a", "n": 1}]
        await group.aclose()
    address = front.url.replace("http", "ws")
    async with open_socket(address, origin=f"http://127.0.0.1:{front.port}"):  # type: ignore[arg-type]
        pass
    with pytest.raises(InvalidStatus):
        await open_socket(address, origin="http://evil.example")  # type: ignore[arg-type]


async def test_an_event_stream_is_not_held_back(front: Front) -> None:
    accept = {"accept": "text/event-stream"}
    async with (
        asyncio.timeout(DEADLINE),
        httpx.AsyncClient(base_url=front.url, timeout=DEADLINE) as client,
        client.stream("GET", "streams/room/late", headers=accept) as following,
    ):
        lines = following.aiter_lines()
        async for line in lines:
            if line.startswith("data:"):
                break
        await client.post("put/late")
        async for line in lines:
            if '"n":1' in line:
                break


def test_what_is_idle_speaks_before_nginx_gives_it_up() -> None:
    assert "timeout" not in CONFIGURATION
    sweep = 1.0
    assert SocketSettings().ping_interval + 2 * sweep < NGINX_SECONDS
    assert COMMENT_SECONDS < NGINX_SECONDS
    assert ServerSettings().keepalive_timeout > NGINX_SECONDS
    assert not re.search(r"(ping_interval|keepalive_timeout)", BLOCKS["headwater.toml"])
