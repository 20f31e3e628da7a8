"""Requests to steps, over real sockets: what a step is given, and what its answer becomes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import orjson
import pytest

from headwater.errors import (
    FieldFault,
    HandlerFailed,
    HeadwaterError,
    SchemaMismatch,
    StoreUnavailable,
    TimedOut,
    WorkerLost,
)
from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import Handler, as_json, read_answer, serving, tell

PROBLEM = "application/problem+json"


def answers(response: ApiResponse) -> Handler:
    async def handler(request: ApiRequest) -> ApiResponse:
        return response

    return handler


def raises(error: Exception) -> Handler:
    async def handler(request: ApiRequest) -> ApiResponse:
        raise error

    return handler


async def test_a_step_is_given_the_whole_request() -> None:
    async with serving({"POST /todos/:id": tell}) as site:
        response = await site.client.post(
            "/todos/a%2Fb?x=1&x=2&y=",
            content=b'{"a": 1}',
            headers={"Content-Type": "application/json", "X-Mine": "1"},
        )
    told = response.json()
    assert told["method"] == "POST"
    assert told["path"] == "/todos/a%2Fb"
    assert told["params"] == {"id": "a/b"}
    assert told["query"] == {"x": ["1", "2"], "y": ""}
    assert told["headers"]["x-mine"] == "1"
    assert (told["kind"], told["body"], told["raw"]) == ("json", {"a": 1}, '{"a": 1}')
    assert told["trace"] == response.headers["x-trace-id"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_reaches_its_step_with_its_body(method: str) -> None:
    async with serving({f"{method} /x": tell}) as site:
        response = await site.client.request(method, "/x", content=b"text")
    assert response.json()["method"] == method
    assert response.json()["raw"] == "text"


async def test_a_request_without_a_body_has_an_empty_object() -> None:
    async with serving({"GET /x": tell, "POST /x": tell}) as site:
        for response in [await site.client.get("/x"), await site.client.post("/x")]:
            assert (response.json()["kind"], response.json()["body"]) == ("none", {})


async def test_an_answer_keeps_status_headers_and_body() -> None:
    headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("X-A", "é"),
    ]
    async with serving({"GET /x": answers(ApiResponse(201, headers, "grün".encode()))}) as site:
        response = await site.client.get("/x")
    assert response.status_code == 201
    assert response.text == "grün"
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-a"].encode("latin-1").decode("latin-1") == "é"


async def test_headers_that_frame_the_answer_are_the_servers_own() -> None:
    headers = [
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("x-trace-id", "no"),
    ]
    async with serving({"GET /x": answers(ApiResponse(200, headers, b"12345"))}) as site:
        first = await site.client.get("/x")
        assert (await site.client.get("/x")).text == "12345"
    assert first.headers["content-length"] == "5"
    assert "transfer-encoding" not in first.headers
    assert "connection" not in first.headers
    assert first.headers.get_list("x-trace-id") != ["no"]
    assert len(first.headers.get_list("x-trace-id")) == 1


@pytest.mark.parametrize(
    "response",
    [
        ApiResponse(200, [("x-a", "b\r\nx-c: d")], b""),
        ApiResponse(200, [("x-a", "b\x00")], b""),
        ApiResponse(200, [("x a", "b")], b""),
        ApiResponse(200, [("x:a", "b")], b""),
        ApiResponse(200, [("", "b")], b""),
        ApiResponse(200, [("ä", "b")], b""),
        ApiResponse(99, [], b""),
        ApiResponse(101, [], b""),
        ApiResponse(600, [], b""),
    ],
)
async def test_an_answer_that_http_does_not_allow_is_a_problem_and_harms_nothing(
    response: ApiResponse,
) -> None:
    async with serving({"GET /x": answers(response), "GET /y": tell}) as site:
        refused = await site.client.get("/x")
        assert (refused.status_code, refused.json()["code"]) == (500, "HANDLER_FAILED")
        assert (await site.client.get("/y")).status_code == 200


@pytest.mark.parametrize(("status", "length"), [(204, None), (205, "0"), (304, None)])
async def test_an_answer_that_has_no_body_by_its_status_sends_none(status: int, length: str | None) -> None:
    async with serving({"GET /x": answers(ApiResponse(status, [], b"surplus")), "GET /y": tell}) as site:
        response = await site.client.get("/x")
        assert (response.status_code, response.content) == (status, b"")
        assert response.headers.get("content-length") == length
        assert (await site.client.get("/y")).status_code == 200


async def test_head_is_answered_by_the_get_step_without_its_body() -> None:
    async with serving({"GET /x": answers(as_json({"a": 1}))}) as site:
        raw = await site.raw(b"HEAD /x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"content-length: 7" in head.lower()
    assert body == b""


async def test_options_lists_the_methods_of_a_path() -> None:
    async with serving({"GET /x": tell, "POST /:any": tell, "OPTIONS /own": tell}) as site:
        response = await site.client.options("/x")
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert (await site.client.options("/own")).json()["method"] == "OPTIONS"
        assert (await site.client.options("/a/b")).status_code == 404


async def test_an_unknown_path_is_a_problem() -> None:
    async with serving({"POST /chat-messages": tell}) as site:
        response = await site.client.get("/chat-message")
    assert response.status_code == 404
    assert response.headers["content-type"] == PROBLEM
    assert response.json() == {
        "type": "urn:headwater:error:ROUTE_UNKNOWN",
        "title": "Route unknown",
        "status": 404,
        "detail": "nothing is served at /chat-message",
        "code": "ROUTE_UNKNOWN",
        "path": "/chat-message",
        "traceId": response.headers["x-trace-id"],
    }


async def test_in_development_an_unknown_path_hints_at_near_routes() -> None:
    async with serving({"POST /chat-messages": tell}, dev=True) as site:
        response = await site.client.get("/chat-message")
    assert response.json()["hint"] == "did you mean POST /chat-messages?"


async def test_a_wrong_method_is_a_problem_that_lists_the_right_ones() -> None:
    async with serving({"POST /x": tell, "GET /x": tell}) as site:
        response = await site.client.delete("/x")
    assert (response.status_code, response.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert response.json()["allow"] == ["GET", "HEAD", "OPTIONS", "POST"]


async def test_a_path_with_broken_percent_encoding_is_a_problem() -> None:
    async with serving({"GET /x/:id": tell}) as site:
        raw = await site.raw(b"GET /x/%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert b"REQUEST_INVALID" in raw


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (WorkerLost("the worker ended"), 502),
        (TimedOut("too long", seconds=1), 504),
        (StoreUnavailable("closed"), 503),
        (HandlerFailed("the handler raised KeyError", traceback="Traceback (most recent call last)"), 500),
        (HeadwaterError("odd", value=object(), other={1: {2}}), 500),
    ],
)
async def test_an_error_of_a_step_is_a_problem_of_its_status(error: HeadwaterError, status: int) -> None:
    async with serving({"GET /x": raises(error)}) as site:
        response = await site.client.get("/x")
    assert (response.status_code, response.json()["code"]) == (status, error.code)
    assert response.json()["detail"] == error.message
    assert ("retry-after" in response.headers) == (status == 503)
    assert "Traceback" not in response.text


async def test_a_body_that_breaks_its_schema_names_the_fields_at_fault() -> None:
    faults = [FieldFault("user.name", "is required")]
    async with serving({"POST /x": raises(SchemaMismatch("the body breaks its schema", faults))}) as site:
        as_json_body = await site.client.post("/x", json={})
        without_type = await site.client.post("/x", content=b"{}")
    assert as_json_body.status_code == 400
    assert as_json_body.json()["faults"] == [{"field": "user.name", "message": "is required"}]
    assert "hint" not in as_json_body.json()
    assert "application/json" in without_type.json()["hint"]


async def test_broken_json_is_a_problem_that_tells_the_place() -> None:
    async with serving({"POST /x": tell}) as site:
        response = await site.client.post(
            "/x", content=b"{\n1}", headers={"content-type": "application/json"}
        )
    assert response.status_code == 400
    assert {"code": "BODY_INVALID", "line": 2, "column": 1, "offset": 2}.items() <= response.json().items()


async def test_a_fault_of_the_server_itself_is_logged_and_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving({"GET /x": raises(RuntimeError("secret"))}) as site:
        response = await site.client.get("/x")
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL")
    assert "secret" not in response.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.__dict__["trace"] == response.json()["traceId"]


async def test_a_traceparent_gives_the_trace_id() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with serving({"GET /x": tell}) as site:
        response = await site.client.get("/x", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert response.headers["x-trace-id"] == response.json()["trace"] == trace


async def test_new_routes_take_over_at_once_and_running_requests_end_as_they_began() -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: ApiRequest) -> ApiResponse:
        running.set()
        await go_on.wait()
        return as_json("old")

    async with serving({"GET /x": slow, "GET /gone": tell}) as site:
        request = asyncio.create_task(site.client.get("/x"))
        await running.wait()
        site.serve({"GET /y": tell})
        assert (await site.client.get("/y")).status_code == 200
        assert (await site.client.get("/gone")).status_code == 404
        go_on.set()
        assert (await request).json() == "old"


@pytest.mark.parametrize(("dev", "level"), [(False, logging.DEBUG), (True, logging.INFO)])
async def test_every_request_is_logged_once(dev: bool, level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "headwater.http")
    async with serving({"GET /x/:id": tell}, dev=dev) as site:
        response = await site.client.get("/x/a%0Ab")
    (record,) = [record for record in caplog.records if record.name == "headwater.http"]
    facts = record.__dict__
    assert record.levelno == level
    assert record.getMessage() == "GET /x/a%0Ab"
    assert facts["trace"] == response.headers["x-trace-id"]
    assert facts["fields"]["status"] == 200
    assert facts["fields"]["ms"] >= 0


async def test_internal_applications_are_asked_where_no_step_has_the_path() -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        body = orjson.dumps({"raw": scope["raw_path"].decode(), "trace": scope["headwater.trace"]})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with serving(
        {"GET /streams/mine": tell, "GET /streamsx": tell}, internal=[("/streams", app)]
    ) as site:
        response = await site.client.get("/streams/a%2Fb")
        assert response.json() == {"raw": "/streams/a%2Fb", "trace": response.headers["x-trace-id"]}
        assert (await site.client.get("/streams")).json()["raw"] == "/streams"
        assert (await site.client.get("/streamsx")).json()["method"] == "GET"
        assert (await site.client.get("/streams/mine")).json()["method"] == "GET"


async def test_an_internal_application_may_raise_before_it_answers() -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        raise StoreUnavailable("closed")

    async with serving(internal=[("/streams", app)]) as site:
        assert (await site.client.get("/streams")).json()["code"] == "STORE_UNAVAILABLE"


async def test_an_internal_application_that_fails_halfway_loses_only_its_connection() -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        raise RuntimeError("halfway")

    async with serving({"GET /x": tell}, internal=[("/streams", app)]) as site:
        with pytest.raises(httpx.RemoteProtocolError):
            await site.client.get("/streams")
        assert (await site.client.get("/x")).status_code == 200


async def test_a_body_of_20_mb_passes_whole() -> None:
    async def measure(request: ApiRequest) -> ApiResponse:
        return as_json([len(request.raw_body), len(orjson.loads(request.raw_body)["text"])])

    raw = b'{"text": "' + b"x" * 20_000_000 + b'"}'

    async def pieces():  # type: ignore[no-untyped-def]
        for start in range(0, len(raw), 100_000):
            yield raw[start : start + 100_000]

    json_type = {"content-type": "application/json"}
    async with serving({"POST /x": measure}) as site:
        whole = await site.client.post("/x", content=raw, headers=json_type)
        chunked = await site.client.post("/x", content=pieces(), headers=json_type)
    assert whole.json() == chunked.json() == [len(raw), 20_000_000]


async def test_an_answer_of_20_mb_passes_whole() -> None:
    body = bytes(range(256)) * 80_000
    async with serving({"GET /x": answers(ApiResponse(200, [], body))}) as site:
        assert (await site.client.get("/x")).content == body


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with serving({"POST /:id": tell}) as site:
        one = b"POST /%d HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc"
        last = b"POST /9 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        raw = await site.raw(b"".join(one % i for i in range(9)) + last)
    bodies = [orjson.loads(part[: part.rindex(b"}") + 1]) for part in raw.split(b"\r\n\r\n")[1:]]
    assert [told["params"]["id"] for told in bodies] == [str(i) for i in range(10)]


async def test_http_1_0_is_answered_and_the_connection_closed() -> None:
    async with serving({"GET /x": tell}) as site:
        raw = await site.raw(b"GET /x HTTP/1.0\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 200 ")


async def test_a_client_may_wait_to_be_asked_for_its_body() -> None:
    async with serving({"POST /x": tell}) as site:
        reader, writer = await site.connect()
        writer.write(
            b"POST /x HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        status, body = await read_answer(reader)
    assert (status, orjson.loads(body)["raw"]) == (200, "abc")


async def test_no_step_answers_or_hears_what_is_asked_of_the_server_itself() -> None:
    """A page that answers every path must not be brought the operator's token."""

    async def ours(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ours"})

    routes = {f"{method} {path}": tell for method in ("GET", "POST") for path in ("/*", "/headwater/admin/x")}
    async with serving(routes, internal=[("/headwater/admin", ours)]) as site:
        for path in ("/headwater/admin", "/headwater/admin/x", "/headwater/admin/"):
            for method in ("GET", "POST"):
                assert (await site.client.request(method, path)).text == "ours"
        for path in ("/headwater", "/headwater/metrics", "/headwater/none/"):
            for method, status in (("GET", 404), ("POST", 404), ("OPTIONS", 404)):
                assert (await site.client.request(method, path)).status_code == status
        assert not site.executor.requests
        for path in ("/headwaters", "/head/water", "//headwater/admin", "/x/../headwater/admin"):
            head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert (await site.raw(head.encode())).startswith(b"HTTP/1.1 200 ")
        assert [request.path for request in site.executor.requests][2:] == [
            "//headwater/admin",
            "/x/../headwater/admin",
        ]
