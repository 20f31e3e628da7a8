"""What Prometheus reads of a server, and what anybody may know of its well-being."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from headwater.app import Running
from headwater.config import (
    AdminSettings,
    ServerSettings,
    Settings,
    SocketSettings,
    StorageSettings,
    WorkerSettings,
)
from headwater.errors import StoreUnavailable
from headwater.lifetime import running
from support.steps_project import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "the-operators-own-token"
STEPS = {
    "steps/rooms_stream.py": "config = {'name': 'rooms', 'schema': None}\n",
    "steps/say_step.py": """
config = {"type": "api", "name": "Say", "path": "/say", "method": "POST", "emits": ["said"]}

async def handler(req, ctx):
    await ctx.streams.rooms.set("r", "a", {"text": "x"})
    await ctx.emit({"topic": "said", "data": {}})
    return {"status": 201}
""",
    "steps/said_step.py": """
config = {
    "type": "event",
    "name": "Said",
    "subscribes": ["said"],
    "emits": [],
    "infrastructure": {"queue": {"maxRetries": 0}},
}

async def handler(data, ctx):
    raise ValueError("no")
""",
}


class Site(NamedTuple):
    server: Running
    client: httpx.AsyncClient

    async def read(self) -> dict[str, float]:
        """Every number, by name and labels."""
        answer = await self.client.get("/headwater/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        return {
            sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    async def wait_for(self, name: str, value: float) -> None:
        async with asyncio.timeout(30):
            while (await self.read()).get(name, 0) != value:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def site_of(root: Path, **admin: Any) -> AsyncIterator[Site]:
    write(root, STEPS)
    settings = Settings(
        project=root,
        server=ServerSettings(port=0),
        socket=SocketSettings(max_subscriptions=1),
        storage=StorageSettings(url="memory:"),
        workers=WorkerSettings(size=1, drain_timeout=1.0),
        admin=AdminSettings(**admin),
    )
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield Site(server, client)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    async with site_of(tmp_path_factory.mktemp("metrics"), token=TOKEN) as site:
        yield site


async def test_what_a_write_and_its_event_do_is_counted(site: Site) -> None:
    before = await site.read()
    assert (await site.client.post("/say", json={})).status_code == 201
    await site.wait_for("headwater_jobs_total|Said|dead", 1)
    now = await site.read()
    assert now["headwater_http_requests_total|201"] - before.get("headwater_http_requests_total|201", 0) == 1
    assert now["headwater_invocations_total||Say"] == 1
    assert now["headwater_invocations_total|HANDLER_FAILED|Said"] == 1
    assert now["headwater_jobs_total|Said|accepted"] == now["headwater_jobs_total|Said|begun"] == 1
    assert now["headwater_commit_seconds_count"] > before["headwater_commit_seconds_count"]
    assert now["headwater_commit_writes_sum"] >= 2
    assert now["headwater_http_request_seconds_bucket|+Inf"] == now["headwater_http_request_seconds_count"]


async def test_subscriptions_are_counted_until_they_end_whatever_becomes_of_them(site: Site) -> None:
    url = site.server.url.replace("http", "ws", 1)
    async with connect(f"{url}/", subprotocols=[Subprotocol("headwater.v1")]) as socket:
        await socket.send('{"t":"sub","sub":1,"stream":"rooms","group":"r"}')
        await site.wait_for("headwater_subscriptions|live", 1)
        assert (await site.read())["headwater_subscriptions|behind"] == 0
        before = await site.read()
        await site.client.post("/say", json={})
        await site.wait_for("headwater_deliveries_total", before["headwater_deliveries_total"] + 1)
        await socket.send('{"t":"sub","sub":2,"stream":"rooms","group":"other"}')
        while orjson.loads(await socket.recv()).get("code") != "TOO_MANY":
            pass
        now = await site.read()
        assert now["headwater_connections|websocket"] == now["headwater_connections_accepted_total|v1"] == 1
        assert now["headwater_limits_met_total|socket.max_subscriptions"] == 1
        assert now["headwater_delivered_bytes_total"] > before["headwater_delivered_bytes_total"]
    await site.wait_for("headwater_connections|websocket", 0)
    now = await site.read()
    assert now["headwater_subscriptions|live"] == now["headwater_subscriptions|behind"] == 0


async def test_a_socket_that_was_refused_never_was_open(tmp_path: Path) -> None:
    write(tmp_path, {"headwater_auth.py": "def authenticate(request):\n    return None\n"})
    async with site_of(tmp_path, token=TOKEN) as site:
        url = site.server.url.replace("http", "ws", 1)
        offered = [Subprotocol("headwater.v1"), Subprotocol("headwater.token.guessed")]
        with pytest.raises(InvalidStatus):
            await connect(f"{url}/", subprotocols=offered)
        while site.server.opening.sockets:
            await asyncio.sleep(0.01)
        now = await site.read()
        assert now["headwater_refusals_total|UNAUTHENTICATED"] == 1
        assert now["headwater_connections|websocket"] == 0


async def test_each_kind_of_memory_is_told_beside_its_bound(site: Site) -> None:
    now = await site.read()
    held = [name for name in now if name.startswith("headwater_held|")]
    assert len(held) >= 6
    assert len([name for name in now if name.startswith("headwater_held_limit|")]) == len(held)
    assert now["process_resident_memory_bytes"] > 0


async def test_only_the_operator_reads_them(site: Site) -> None:
    assert (await site.client.get("/headwater/metrics")).status_code == 401
    assert (
        await site.client.post("/headwater/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    ).status_code == 405


async def test_where_nobody_could_read_them_nothing_is_counted(tmp_path: Path) -> None:
    async with site_of(tmp_path) as site:
        assert (await site.client.get("/headwater/metrics")).status_code == 401
        assert not site.server.observers.listening


async def test_anybody_may_know_whether_it_is_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/headwater/health", "/headwater/ready"):
        answer = await site.client.get(path)
        assert (answer.status_code, answer.text) == (200, "ok\n")
    with monkeypatch.context() as broken:

        async def fail(*_args: object, **_named: object) -> None:
            raise StoreUnavailable("The disk is full.")

        broken.setattr(site.server.store, "commit", fail)
        assert (await site.client.post("/say", json={})).status_code == 503
        answer = await site.client.get("/headwater/ready")
        assert (answer.status_code, answer.text) == (503, "the store takes no writes\n")
        assert (await site.client.get("/headwater/health")).status_code == 200
    assert (await site.client.post("/say", json={})).status_code == 201
    assert (await site.client.get("/headwater/ready")).status_code == 200


async def test_the_manual_names_every_number(site: Site) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    answer = await site.client.get("/headwater/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(answer.text)
        if family.name.startswith("headwater_")
    }
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
