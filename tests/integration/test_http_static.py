"""The public folder over HTTP: what is served, how, and what never is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest

from support.http_site import Site, serving, tell


@pytest.fixture
def project(tmp_path: Path) -> Path:
    public = tmp_path / "project" / "public"
    (public / "docs").mkdir(parents=True)
    (public / "empty").mkdir()
    (public / ".well-known").mkdir()
    (public / ".git").mkdir()
    (public / "index.html").write_text("<h1>home</h1>")
    (public / "docs" / "index.html").write_text("docs")
    (public / "app.js").write_text("export {}")
    (public / "ein stück.txt").write_text("text")
    (public / "data.bin").write_bytes(bytes(range(100)))
    (public / ".env").write_text("SECRET")
    (public / ".git" / "config").write_text("SECRET")
    (public / ".well-known" / "security.txt").write_text("contact")
    (tmp_path / "project" / "secret.txt").write_text("SECRET")
    return tmp_path / "project"


@pytest.fixture
async def site(project: Path) -> AsyncIterator[Site]:
    async with serving({"GET /taken": tell, "POST /app.js": tell}, project=project) as site:
        yield site


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/", "text/html; charset=utf-8", "<h1>home</h1>"),
        ("/index.html", "text/html; charset=utf-8", "<h1>home</h1>"),
        ("/docs/", "text/html; charset=utf-8", "docs"),
        ("/app.js", "text/javascript; charset=utf-8", "export {}"),
        ("/app.js?v=2", "text/javascript; charset=utf-8", "export {}"),
        ("/ein%20st%C3%BCck.txt", "text/plain; charset=utf-8", "text"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8", "contact"),
    ],
)
async def test_a_file_is_served_with_its_type(site: Site, path: str, content_type: str, text: str) -> None:
    response = await site.client.get(path)
    assert (response.status_code, response.text) == (200, text)
    assert response.headers["content-type"] == content_type
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.headers["x-trace-id"]) == 32


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.json", "application/json"),
        ("a.wasm", "application/wasm"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.woff2", "font/woff2"),
        ("a.webp", "image/webp"),
        ("a.png", "image/png"),
        ("a.ico", "image/vnd.microsoft.icon"),
        ("a.unknown", "application/octet-stream"),
        ("LICENSE", "application/octet-stream"),
    ],
)
async def test_types_are_the_same_on_every_machine(
    site: Site, project: Path, name: str, content_type: str
) -> None:
    (project / "public" / name).write_text("x")
    assert (await site.client.get(f"/{name}")).headers["content-type"] == content_type


async def test_a_folder_without_its_slash_is_redirected(site: Site) -> None:
    response = await site.client.get("/docs?a=1")
    assert (response.status_code, response.headers["location"]) == (307, "/docs/?a=1")


@pytest.mark.parametrize(
    "path",
    [
        "/missing.txt",
        "/empty/",
        "/empty",
        "/data.bin/",
        "/.env",
        "/.git/config",
        "/docs/../.env",
        "/%2e%65nv",
        "/%2eenv",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/docs/..%2f..%2fsecret.txt",
        "/docs/%2e%2e/%2e%2e/secret.txt",
        "/..%5csecret.txt",
        "//secret.txt",
        "//index.html",
        "/docs//index.html",
        "/%2fetc/passwd",
        "/%00",
        "/index.html%00.txt",
        "/" + "a" * 300,
        "/" + "a/" * 3000,
    ],
)
async def test_nothing_else_is_served(site: Site, path: str) -> None:
    raw = await site.raw(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 404 ")
    assert b"ROUTE_UNKNOWN" in raw
    assert b"SECRET" not in raw


async def test_links_that_lead_out_of_the_folder_are_refused(site: Site, project: Path) -> None:
    public = project / "public"
    (public / "out.txt").symlink_to(project / "secret.txt")
    (public / "up").symlink_to(project)
    (public / "hidden.txt").symlink_to(public / ".env")
    (public / "loop").symlink_to(public / "loop")
    (public / "in.txt").symlink_to(public / "app.js")
    for path in ["/out.txt", "/up/secret.txt", "/up/", "/hidden.txt", "/loop"]:
        assert (await site.client.get(path)).status_code == 404
    assert (await site.client.get("/in.txt")).text == "export {}"


async def test_a_neighbour_whose_name_begins_alike_is_not_in_the_folder(site: Site, project: Path) -> None:
    (project / "public-not").mkdir()
    (project / "public-not" / "x.txt").write_text("SECRET")
    (project / "public" / "x.txt").symlink_to(project / "public-not" / "x.txt")
    assert (await site.client.get("/x.txt")).status_code == 404


async def test_a_pipe_is_not_opened(site: Site, project: Path) -> None:
    os.mkfifo(project / "public" / "pipe")
    assert (await site.client.get("/pipe", timeout=5)).status_code == 404


async def test_a_file_that_is_known_already_is_not_sent_again(site: Site) -> None:
    first = await site.client.get("/app.js")
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    for headers in [
        {"if-none-match": tag},
        {"if-none-match": f'"other", W/{tag}'},
        {"if-none-match": "*"},
        {"if-modified-since": modified},
    ]:
        response = await site.client.get("/app.js", headers=headers)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
    for headers in [
        {"if-none-match": '"other"'},
        {"if-none-match": '"other"', "if-modified-since": modified},
        {"if-modified-since": formatdate(0, usegmt=True)},
        {"if-modified-since": "nonsense"},
    ]:
        assert (await site.client.get("/app.js", headers=headers)).status_code == 200


async def test_a_changed_file_is_sent_again(site: Site, project: Path) -> None:
    tag = (await site.client.get("/app.js")).headers["etag"]
    (project / "public" / "app.js").write_text("export const changed = 1")
    response = await site.client.get("/app.js", headers={"if-none-match": tag})
    assert (response.status_code, response.text) == (200, "export const changed = 1")


async def test_head_has_the_headers_of_a_file(site: Site) -> None:
    response = await site.client.head("/app.js")
    assert (response.status_code, response.headers["content-length"], response.content) == (200, "9", b"")


async def test_a_part_of_a_file_can_be_asked_for(site: Site) -> None:
    response = await site.client.get("/data.bin", headers={"range": "bytes=10-19"})
    assert (response.status_code, response.content) == (206, bytes(range(10, 20)))
    assert response.headers["content-range"] == "bytes 10-19/100"
    assert (await site.client.get("/data.bin", headers={"range": "bytes=200-"})).status_code == 416


@pytest.mark.parametrize(
    "header",
    [
        "items=0-5",
        "nonsense",
        "bytes=x-y",
        "bytes=9-2",
        "bytes=",
        "bytes",
        "bytes=" + ",".join(["1-2"] * 500),
        f"bytes=0-{'9' * 5000}",
        f"bytes=-{'9' * 5000}",
    ],
    ids=lambda header: header[:12],
)
async def test_a_part_that_is_none_is_the_whole_file(site: Site, header: str) -> None:
    response = await site.client.get("/data.bin", headers={"range": header})
    assert (response.status_code, response.content) == (200, bytes(range(100)))


async def test_a_large_file_arrives_whole(site: Site, project: Path) -> None:
    data = os.urandom(5_000_000)
    (project / "public" / "large.bin").write_bytes(data)
    assert (await site.client.get("/large.bin")).content == data


async def test_routes_win_over_files(site: Site, project: Path) -> None:
    (project / "public" / "taken").write_text("file")
    assert (await site.client.get("/taken")).json()["path"] == "/taken"


async def test_a_file_answers_the_methods_that_no_step_has(site: Site) -> None:
    assert (await site.client.get("/app.js")).text == "export {}"
    assert (await site.client.post("/app.js")).json()["method"] == "POST"
    refused = await site.client.put("/docs/index.html")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (await site.client.options("/docs/index.html")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await site.client.put("/missing")).status_code == 404


async def test_the_folder_may_be_missing_and_appear_later(tmp_path: Path) -> None:
    async with serving(project=tmp_path) as site:
        assert (await site.client.get("/")).status_code == 404
        (tmp_path / "public").mkdir()
        (tmp_path / "public" / "index.html").write_text("here now")
        assert (await site.client.get("/")).text == "here now"


async def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "a.txt").write_text("built")
    (tmp_path / "public").symlink_to(tmp_path / "built")
    async with serving(project=tmp_path) as site:
        assert (await site.client.get("/a.txt")).text == "built"
