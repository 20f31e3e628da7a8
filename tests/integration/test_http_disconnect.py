"""A client that hangs up while its step runs: the step is stopped, and nothing else is."""

from __future__ import annotations

import asyncio
import logging

import pytest

from headwater.server.http.disconnect import PATIENCE
from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import as_json, serving, tell

GET = b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST /slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc"


class Slow:
    """A step that runs until it is told to end, and tells how it ended."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self, request: ApiRequest) -> ApiResponse:
        self.running.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended.set_result("cancelled")
            raise
        return as_json("done")


@pytest.mark.parametrize("asked", [GET, POST])
@pytest.mark.parametrize("patience", [0, PATIENCE * 3])
async def test_a_step_is_cancelled_when_its_client_hangs_up(
    asked: bytes, patience: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "headwater.http")
    slow = Slow()
    async with serving({"GET /slow": slow, "POST /slow": slow, "GET /well": tell}) as site:
        _, writer = await site.connect()
        writer.write(asked)
        await slow.running.wait()
        await asyncio.sleep(patience)
        writer.close()
        assert await asyncio.wait_for(slow.ended, 60) == "cancelled"
        assert (await site.client.get("/well")).status_code == 200
    statuses = [
        record.__dict__["fields"]["status"] for record in caplog.records if record.name == "headwater.http"
    ]
    assert sorted(statuses) == [200, 499]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_step_whose_client_waits_is_left_alone() -> None:
    slow = Slow()
    async with serving({"GET /slow": slow}) as site:
        reader, writer = await site.connect()
        writer.write(GET)
        await slow.running.wait()
        await asyncio.sleep(PATIENCE * 3)
        slow.go_on.set()
        assert b'"done"' in await reader.readuntil(b'"done"')
        writer.write(GET)
        assert b'"done"' in await reader.readuntil(b'"done"')


async def test_a_client_that_hangs_up_within_its_body_starts_nothing() -> None:
    async with serving({"POST /slow": tell, "GET /well": tell}) as site:
        _, writer = await site.connect()
        writer.write(POST[:-1])
        await writer.drain()
        writer.close()
        assert (await site.client.get("/well")).status_code == 200
        assert [request.path for request in site.executor.requests] == ["/well"]


async def test_a_client_may_send_its_next_request_while_a_step_runs() -> None:
    slow = Slow()
    async with serving({"GET /slow": slow, "GET /well": tell}) as site:
        reader, writer = await site.connect()
        writer.write(GET + b"GET /well HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        await slow.running.wait()
        await asyncio.sleep(PATIENCE * 3)
        slow.go_on.set()
        assert (await asyncio.wait_for(reader.read(), 10)).count(b"HTTP/1.1 200 ") == 2


async def test_a_hang_up_reaches_the_running_request_of_several(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    async with serving({"GET /slow": slow, "GET /well": tell}) as site:
        _, writer = await site.connect()
        writer.write(GET + GET + GET)
        await slow.running.wait()
        await asyncio.sleep(PATIENCE * 3)
        writer.close()
        assert await asyncio.wait_for(slow.ended, 60) == "cancelled"
        assert (await site.client.get("/well")).status_code == 200
        assert len(site.executor.requests) == 2
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_step_that_stops_only_after_a_while_answers_nobody() -> None:
    stopped = asyncio.Event()

    async def stubborn(request: ApiRequest) -> ApiResponse:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            stopped.set()
        return as_json("too late")

    async with serving({"GET /slow": stubborn, "GET /well": tell}) as site:
        _, writer = await site.connect()
        writer.write(GET)
        await asyncio.sleep(PATIENCE)
        writer.close()
        await asyncio.wait_for(stopped.wait(), 10)
        assert (await site.client.get("/well")).status_code == 200
