"""Browser pages of other origins: refused unless the settings name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.errors import HandlerFailed
from headwater.server.http.client_script import ClientScript
from headwater.server.http.origins import MOST_TOLD
from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import as_json, serving, tell

APP = "https://app.example"
PREFLIGHT = {
    "origin": APP,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization, x-mine",
}


async def fails(request: ApiRequest) -> ApiResponse:
    raise HandlerFailed("broken")


async def own(request: ApiRequest) -> ApiResponse:
    return as_json("own", headers=[("Access-Control-Allow-Origin", "https://other.example")])


ROUTES = {"GET /x": tell, "PUT /x": tell, "GET /fails": fails, "GET /own": own, "OPTIONS /mine": tell}


def allowed(headers: object) -> dict[str, str]:
    return {name: value for name, value in dict(headers).items() if name.startswith("access-control")}  # type: ignore[call-overload]


async def test_by_default_there_are_no_cors_headers_and_no_preflights() -> None:
    async with serving(ROUTES) as site:
        response = await site.client.get("/x", headers={"origin": APP})
        assert (response.status_code, allowed(response.headers)) == (200, {})
        assert "vary" not in response.headers
        preflight = await site.client.options("/x", headers=PREFLIGHT)
        assert (preflight.status_code, allowed(preflight.headers)) == (204, {})


async def test_a_named_origin_is_echoed_with_credentials() -> None:
    async with serving(ROUTES, cors_origins=("http://localhost:5173", APP + "/")) as site:
        response = await site.client.get("/x", headers={"origin": APP})
    assert allowed(response.headers) == {
        "access-control-allow-origin": APP,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-trace-id, x-headwater-items, etag, retry-after",
    }
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", [None, "https://evil.example", f"{APP}.evil.example", "null", "https://APP.example:1"]
)
async def test_any_other_origin_gets_nothing_but_caches_are_warned(origin: str | None) -> None:
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        response = await site.client.get("/x", headers={"origin": origin} if origin else {})
    assert (response.status_code, allowed(response.headers)) == (200, {})
    assert response.headers["vary"] == "Origin"


async def test_a_star_allows_every_origin_and_never_credentials() -> None:
    async with serving(ROUTES, cors_origins=("*", APP)) as site:
        response = await site.client.get("/x", headers={"origin": APP})
        preflight = await site.client.options("/x", headers=PREFLIGHT)
    for answer in (response, preflight):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_preflight_allows_what_it_asks_for() -> None:
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        response = await site.client.options("/x", headers=PREFLIGHT)
    assert (response.status_code, response.content) == (204, b"")
    headers = response.headers
    assert headers["access-control-allow-origin"] == APP
    assert headers["access-control-allow-credentials"] == "true"
    assert "PUT" in headers["access-control-allow-methods"].split(", ")
    assert headers["access-control-allow-headers"] == "authorization, x-mine"
    assert headers["access-control-max-age"] == "600"
    assert "Access-Control-Request-Headers" in headers["vary"]
    assert "Origin" in headers["vary"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/x", "/streams/room/g/a"])
async def test_every_method_that_is_served_may_be_asked_for(method: str, path: str) -> None:
    asked = {**PREFLIGHT, "access-control-request-method": method}
    async with serving(ROUTES, internal=[("/streams", ClientScript())], cors_origins=(APP,)) as site:
        answer = await site.client.options(path, headers=asked)
    assert answer.status_code == 204
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    assert "*" not in "".join(allowed(answer.headers).values())


async def test_a_preflight_without_headers_allows_none() -> None:
    asked = {name: value for name, value in PREFLIGHT.items() if not name.endswith("headers")}
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        answer = await site.client.options("/x", headers=asked)
    assert (answer.status_code, "access-control-allow-headers" in answer.headers) == (204, False)


async def test_one_origin_s_answer_is_never_another_s() -> None:
    other = "https://other.example"
    async with serving(ROUTES, cors_origins=(APP, other)) as site:
        for origin in (APP, other):
            for answer in (
                await site.client.get("/x", headers={"origin": origin}),
                await site.client.options("/x", headers={**PREFLIGHT, "origin": origin}),
                await site.client.get("/nowhere", headers={"origin": origin}),
            ):
                assert answer.headers["access-control-allow-origin"] == origin
                assert "origin" in ", ".join(answer.headers.get_list("vary")).lower()


async def test_a_preflight_for_a_path_that_is_not_there_lets_the_page_see_the_404() -> None:
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        assert (await site.client.options("/nowhere", headers=PREFLIGHT)).status_code == 204
        response = await site.client.put("/nowhere", headers={"origin": APP})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (404, APP)


async def test_a_preflight_of_another_origin_is_refused_by_name() -> None:
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        response = await site.client.options("/x", headers={**PREFLIGHT, "origin": "https://evil.example"})
    assert (response.status_code, response.json()["code"]) == (403, "ORIGIN_REFUSED")
    assert response.json()["origin"] == "https://evil.example"
    assert "cors_origins" in response.json()["hint"]
    assert allowed(response.headers) == {}


async def test_options_that_are_no_preflight_list_the_methods() -> None:
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        response = await site.client.options("/x", headers={"origin": APP})
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert response.headers["access-control-allow-origin"] == APP


async def test_a_step_that_declares_options_answers_preflights_itself() -> None:
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        response = await site.client.options("/mine", headers=PREFLIGHT)
    assert response.json()["method"] == "OPTIONS"
    assert response.headers["access-control-allow-origin"] == APP


async def test_a_step_that_sets_the_headers_itself_is_not_overruled() -> None:
    async with serving(ROUTES, cors_origins=(APP,)) as site:
        response = await site.client.get("/own", headers={"origin": APP})
    assert response.headers.get_list("access-control-allow-origin") == ["https://other.example"]


async def test_problems_too_can_be_read_by_the_page() -> None:
    async with serving(ROUTES, cors_origins=(APP,), max_body_bytes=10) as site:
        for response in [
            await site.client.get("/fails", headers={"origin": APP}),
            await site.client.delete("/x", headers={"origin": APP}),
            await site.client.put("/x", headers={"origin": APP}, content=b"x" * 11),
        ]:
            assert response.status_code >= 400
            assert response.headers["access-control-allow-origin"] == APP


async def test_files_and_internal_applications_follow_the_same_rules(tmp_path: Path) -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.txt").write_text("file")
    async with serving(project=tmp_path, cors_origins=(APP,), internal=[("/streams", app)]) as site:
        for path in ["/a.txt", "/streams/x"]:
            response = await site.client.get(path, headers={"origin": APP})
            assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, APP)
        preflight = await site.client.options("/streams/x", headers=PREFLIGHT)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, APP)


PAGE = "http://localhost:5173"


@pytest.mark.parametrize(
    "origin", [PAGE, "http://127.0.0.1:8080", "https://[::1]:5173", "http://LOCALHOST:1"]
)
async def test_in_dev_pages_of_this_machine_may_call_and_read(origin: str) -> None:
    async with serving(ROUTES, dev=True) as site:
        answer = await site.client.get("/x", headers={"origin": origin})
        preflight = await site.client.options("/x", headers={**PREFLIGHT, "origin": origin})
        broken = await site.client.get("/fails", headers={"origin": origin})
    for one in (answer, preflight, broken):
        assert one.headers["access-control-allow-origin"] == origin
        assert one.headers["access-control-allow-credentials"] == "true"
        assert one.headers["vary"].startswith("Origin") or "Origin" in one.headers.get_list("vary")
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == "authorization, x-mine"


@pytest.mark.parametrize("path", ["/headwater", "/headwater/client.js", "/headwater/anything"])
async def test_in_dev_what_is_the_servers_own_stays_its_own(path: str) -> None:
    routes = {**ROUTES, "GET /headwaters": tell}
    async with serving(routes, dev=True, internal=[("/headwater/client.js", ClientScript())]) as site:
        answer = await site.client.get(path, headers={"origin": PAGE})
        preflight = await site.client.options(path, headers={**PREFLIGHT, "origin": PAGE})
        beside = await site.client.get("/headwaters", headers={"origin": PAGE})
    assert (allowed(answer.headers), allowed(preflight.headers), preflight.status_code) == ({}, {}, 403)
    assert beside.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost.evil.example:3000",
        "http://evil.example/localhost",
        "http://localhost@evil.example",
        "http://127.0.0.1.evil.example",
        "null",
        "file://",
        "http://localhost:x",
    ],
)
async def test_pages_of_elsewhere_may_not_in_dev_either(dev: bool, origin: str) -> None:
    async with serving(ROUTES, dev=dev) as site:
        assert allowed((await site.client.get("/x", headers={"origin": origin})).headers) == {}
        assert (
            allowed((await site.client.options("/x", headers={**PREFLIGHT, "origin": origin})).headers) == {}
        )


async def test_without_dev_pages_of_this_machine_are_pages_of_elsewhere() -> None:
    async with serving(ROUTES) as site:
        assert allowed((await site.client.get("/x", headers={"origin": PAGE})).headers) == {}


async def test_a_server_for_all_takes_pages_of_this_machine_for_near_where_it_is_addressed_so() -> None:
    async with serving(ROUTES, dev=True, host="0.0.0.0") as site:
        near = await site.client.get("/x", headers={"origin": PAGE, "host": "localhost:3000"})
        far = await site.client.get("/x", headers={"origin": PAGE, "host": "192.168.0.7:3000"})
    assert (near.headers.get("access-control-allow-origin"), allowed(far.headers)) == (PAGE, {})


async def test_without_dev_a_question_before_a_request_is_logged_once_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(ROUTES) as site:
        for _ in range(2):
            assert (await site.client.options("/x", headers=PREFLIGHT)).status_code == 204
            await site.client.get("/x", headers={"origin": APP})
    (told,) = [record.message for record in caplog.records if "refused" in record.message]
    assert APP in told


async def test_a_refused_origin_is_logged_once_with_what_lets_it_in(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ROUTES, dev=True) as site:
        own = str(site.client.base_url).rstrip("/")
        for origin in (APP, APP, PAGE, own):
            await site.client.get("/x", headers={"origin": origin})
            await site.client.options("/x", headers={**PREFLIGHT, "origin": origin})
    told = [record for record in caplog.records if "refused" in record.message]
    assert [(one.levelname, APP in one.message, "cors_origins" in one.message) for one in told] == [
        ("WARNING", True, True)
    ]


async def test_strangers_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ROUTES, dev=True) as site:
        for number in range(MOST_TOLD + 20):
            await site.client.get("/x", headers={"origin": f"http://x{number}.example"})
    assert len([record for record in caplog.records if "refused" in record.message]) == MOST_TOLD
