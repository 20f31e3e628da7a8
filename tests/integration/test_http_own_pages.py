"""What the server serves of its own is inert wherever a browser shows it; the rest is up to the project."""

from __future__ import annotations

from pathlib import Path

from headwater.errors import HandlerFailed
from headwater.server.http.client_script import PATH, ClientScript
from headwater.steps.project.declare import ApiRequest, ApiResponse
from support.http_site import as_json, serving, tell

INERT = "default-src 'none'; frame-ancestors 'none'"


async def fails(request: ApiRequest) -> ApiResponse:
    raise HandlerFailed("broken")


async def own(request: ApiRequest) -> ApiResponse:
    return as_json("no", status=404, headers=[("content-security-policy", "default-src 'self'")])


ROUTES = {"GET /x": tell, "GET /fails": fails, "GET /own": own}


async def test_errors_run_nothing_are_framed_by_nobody_and_kept_nowhere() -> None:
    async with serving(ROUTES, max_header_bytes=2048) as site:
        answers = [
            await site.client.get("/nowhere"),
            await site.client.post("/x"),
            await site.client.get("/fails"),
            await site.client.get("/x", headers={"x-long": "x" * 4000}),
        ]
    assert [answer.status_code for answer in answers] == [404, 405, 500, 431]
    for answer in answers:
        assert answer.headers["content-security-policy"] == INERT
        assert answer.headers["cache-control"] == "no-store"


async def test_the_client_script_is_a_script_and_nothing_else() -> None:
    async with serving(internal=[(PATH, ClientScript())]) as site:
        script = await site.client.get(PATH)
        again = await site.client.get(PATH, headers={"if-none-match": script.headers["etag"]})
    assert (script.status_code, again.status_code) == (200, 304)
    assert script.headers["content-security-policy"] == INERT
    assert script.headers["x-content-type-options"] == "nosniff"


async def test_files_and_steps_keep_control_of_theirs(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public/a.html").write_text("<h1>page</h1>")
    async with serving(ROUTES, project=tmp_path) as site:
        for path, policy in {"/a.html": None, "/x": None, "/own": "default-src 'self'"}.items():
            answer = await site.client.get(path)
            assert answer.headers.get("content-security-policy") == policy
            assert answer.headers.get("cache-control") != "no-store"
