"""Writes without a step over plain HTTP, against a whole server with rules in a project's files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio

from headwater.app import Running
from headwater.config import (
    AuthSettings,
    ServerSettings,
    ServiceToken,
    Settings,
    SocketSettings,
    StorageSettings,
    StreamSettings,
)
from headwater.lifetime import running
from support.node_worker import node_worker
from support.steps_project import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = {
    "headwater_auth.py": """
def authenticate(request):
    return {"user": request.token} if request.token in ("ada", "bob") else None
""",
    "steps/chat_stream.py": """
config = {
    "name": "chat",
    "schema": {"type": "object", "properties": {"n": {"type": "integer"}, "by": {"type": "string"}}},
}


def can_write(change, auth):
    owner = (change["old"] or change["new"]).get("by")
    return auth is not None and owner == auth["user"] == change["new"].get("by")


def can_delete(change, auth):
    return change["old"] is None or change["old"]["by"] == auth["user"]


async def can_send(event, auth):
    return event["event"]["type"] == "typing" and auth is not None
""",
    "steps/open_stream.py": "config = {'name': 'open'}\ncan_write = can_delete = can_send = True\n",
    "steps/shut_stream.py": "config = {'name': 'shut', 'schema': None}\n",
    "steps/drop_stream.py": "config = {'name': 'drop'}\ncan_write = True\ncanAccess = False\n",
    "steps/note.stream.ts": """
export const config = { name: 'note', schema: null }
export const canWrite = ({ old, new: after }, auth) => auth !== null && (old ?? after).by === auth.user
""",
}
SERVICE = "the-token-of-billing"
BILLING = ServiceToken(
    "billing",
    hashlib.sha256(SERVICE.encode()).digest(),
    frozenset({"shut", "chat"}),
    frozenset({"write", "delete"}),
)


class Site(NamedTuple):
    server: Running
    client: httpx.AsyncClient

    async def put(self, path: str, body: object, who: str = "ada", **headers: str) -> httpx.Response:
        return await self.client.put(path, json=body, headers=_headers(who, headers))

    async def patch(self, path: str, body: object, who: str = "ada", **headers: str) -> httpx.Response:
        return await self.client.patch(path, json=body, headers=_headers(who, headers))

    async def delete(self, path: str, who: str = "ada", **headers: str) -> httpx.Response:
        return await self.client.delete(path, headers=_headers(who, headers))

    async def post(self, path: str, body: object, who: str = "ada", **headers: str) -> httpx.Response:
        return await self.client.post(path, json=body, headers=_headers(who, headers))


def _headers(who: str, more: dict[str, str]) -> dict[str, str]:
    token = {"authorization": f"Bearer {who}"} if who else {}
    return {**token, **{name.replace("_", "-"): value for name, value in more.items()}}


@asynccontextmanager
async def serving(root: Path) -> AsyncGenerator[Site]:
    write(root, FILES)
    settings = Settings(
        project=root,
        server=ServerSettings(port=0),
        storage=StorageSettings(url="memory:"),
        socket=SocketSettings(max_frame_values=50),
        streams=StreamSettings(max_write_bytes=10_000),
        auth=AuthSettings(service_tokens=(BILLING,)),
    )
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=100) as client:
        yield Site(server, client)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    node_worker()
    async with serving(tmp_path_factory.mktemp("writes")) as site:
        yield site


@pytest.fixture
def site(whole: Site, request: pytest.FixtureRequest) -> Site:
    return whole


@pytest.fixture
def item(request: pytest.FixtureRequest) -> str:
    """An item that only this test knows."""
    return f"/streams/chat/{request.node.name}/a".replace("[", "-").replace("]", "")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_an_item_is_put_changed_and_deleted(site: Site, item: str) -> None:
    made = await site.put(item, {"n": 1, "by": "ada"})
    assert (made.status_code, made.json()) == (201, {"id": "a", "n": 1, "by": "ada"})
    assert made.headers["etag"] == f'"{site.server.store.epoch}.1"'
    again = await site.put(item, {"n": 2, "by": "ada"})
    assert (again.status_code, again.json()["n"]) == (200, 2)
    changed = await site.patch(item, [{"type": "increment", "path": "n", "by": 5}])
    assert (changed.status_code, changed.json()["n"]) == (200, 7)
    read = await site.client.get(item, headers=_headers("ada", {}))
    assert (read.json(), read.headers["etag"]) == (changed.json(), changed.headers["etag"])
    for _ in range(2):
        gone = await site.delete(item)
        assert (gone.status_code, gone.content) == (204, b"")


async def test_the_query_names_any_names(site: Site) -> None:
    names = {"stream": "open", "group": "a/b", "id": "ü ?"}
    made = await site.client.put("/streams", params=names, json={})
    assert (made.status_code, made.json()) == (201, {"id": "ü ?"})
    assert (await site.client.get("/streams", params=names)).status_code == 200


async def test_the_rule_says_who_may(site: Site, item: str) -> None:
    assert code(await site.put(item, {"by": "ada"}, "bob")) == (403, "STREAM_ACCESS_DENIED")
    assert code(await site.put(item, {"by": "ada"}, "")) == (403, "STREAM_ACCESS_DENIED")
    assert code(await site.put(item, {"by": "ada"}, "forged")) == (401, "UNAUTHENTICATED")
    assert (await site.put(item, {"by": "ada"})).status_code == 201
    assert code(await site.patch(item, [{"type": "set", "path": "by", "value": "bob"}], "bob"))[0] == 403
    assert code(await site.delete(item, "bob"))[0] == 403
    note = item.replace("chat", "note")
    assert code(await site.put(note, {"by": "ada"}, "bob"))[0] == 403
    assert (await site.put(note, {"by": "ada"})).status_code == 201
    for path, body in ((item.replace("chat", "shut"), {}), (item.replace("chat", "headwater.state"), {})):
        answer = await site.put(path, body)
        assert code(answer) in ((403, "STREAM_ACCESS_DENIED"), (404, "STREAM_UNKNOWN"))


async def test_an_event_is_posted(site: Site, item: str) -> None:
    group = item.removesuffix("/a")
    for path in (group, item):
        sent = await site.post(path, {"type": "typing", "data": 1})
        assert (sent.status_code, sent.content) == (204, b"")
    assert code(await site.post(group, {"type": "shout"}))[0] == 403
    assert code(await site.post(group, {"no": "type"})) == (400, "INVALID_INPUT")
    assert code(await site.post(group, {"type": "typing"}, idempotency_key="k")) == (400, "INVALID_INPUT")


async def test_if_match_takes_the_tag_that_get_gave(site: Site, item: str) -> None:
    await site.put(item, {"n": 1, "by": "ada"})
    tag = (await site.client.get(item, headers=_headers("ada", {}))).headers["etag"]
    assert (await site.put(item, {"n": 2, "by": "ada"}, if_match=tag)).status_code == 200
    late = await site.put(item, {"n": 3, "by": "ada"}, if_match=tag)
    assert (*code(late), late.json()["version"]) == (412, "PRECONDITION_FAILED", 2)
    for other in ('"another.2"', f"W/{tag}", '"2"', '""', '"x.0"'):
        for answer in (
            await site.patch(item, [{"type": "remove", "path": "n"}], if_match=other),
            await site.delete(item, if_match=other),
        ):
            assert code(answer) == (412, "PRECONDITION_FAILED")
    assert (await site.client.get(item, headers=_headers("ada", {}))).json()["n"] == 2


async def test_an_item_may_have_to_be_there_or_not(site: Site, item: str) -> None:
    body = {"by": "ada"}
    assert code(await site.put(item, body, if_match="*"))[0] == 412
    assert (await site.put(item, body, if_none_match="*")).status_code == 201
    assert code(await site.put(item, body, if_none_match="*"))[0] == 412
    assert (await site.put(item, body, if_match="*")).status_code == 200
    assert (await site.put(item.replace("chat", "open"), body, if_none_match="*")).status_code == 201
    assert code(await site.put(item.replace("chat", "open"), body, if_none_match="*"))[0] == 412
    assert code(await site.delete(item.replace("chat", "open") + "b", if_match="*"))[0] == 412


@pytest.mark.parametrize(
    "headers",
    [
        {"if_match": "bare"},
        {"if_match": '"a.1", "a.2"'},
        {"if_none_match": '"a.1"'},
        {"if_match": "*", "if_none_match": "*"},
    ],
)
async def test_a_condition_that_is_not_understood_writes_nothing(
    site: Site, item: str, headers: dict[str, str]
) -> None:
    assert code(await site.put(item, {"by": "ada"}, **headers)) == (400, "INVALID_INPUT")
    assert (await site.client.get(item)).status_code == 404


async def test_a_key_writes_once(site: Site, item: str) -> None:
    first = await site.put(item, {"n": 1, "by": "ada"}, idempotency_key="k")
    again = await site.put(item, {"n": 2, "by": "ada"}, idempotency_key="k")
    assert [(one.status_code, one.json()["n"], one.headers["etag"]) for one in (first, again)] == [
        (201, 1, first.headers["etag"])
    ] * 2
    assert (await site.delete(item, idempotency_key="d")).status_code == 204
    assert (await site.put(item, {"n": 3, "by": "ada"}, idempotency_key="k2")).status_code == 201
    assert (await site.delete(item, idempotency_key="d")).status_code == 204
    assert (await site.client.get(item)).json()["n"] == 3


async def test_who_may_not_read_is_shown_nothing_that_it_did_not_write(site: Site, item: str) -> None:
    item = item.replace("chat", "drop")
    assert (await site.put(item, {"secret": 1})).json() == {"id": "a", "secret": 1}
    changed = await site.patch(item, [{"type": "set", "path": "n", "value": 1}], "bob")
    assert (changed.status_code, changed.content) == (204, b"")
    assert changed.headers["etag"].endswith('.2"')
    refused = await site.patch(item, [{"type": "append", "path": "secret", "value": "x"}], "bob")
    assert code(refused) == (400, "INVALID_INPUT")
    assert "secret" not in refused.text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "INVALID_INPUT")),
        (b"{", (400, "INVALID_INPUT")),
        (b"[1]", (400, "SCHEMA_MISMATCH")),
        (b"\xff", (400, "INVALID_INPUT")),
        (b'{"n": "one", "by": "ada"}', (400, "SCHEMA_MISMATCH")),
        (b'{"x": [%s0]}' % (b"0," * 60), (413, "TOO_COMPLEX")),
        (b'{"x": "%s"}' % (b"x" * 10_000), (413, "TOO_LARGE")),
    ],
    ids=["nothing", "half", "list", "bytes", "schema", "values", "size"],
)
async def test_a_body_that_is_no_item_is_refused(
    site: Site, item: str, body: bytes, expected: tuple[int, str]
) -> None:
    headers = _headers("ada", {"content_type": "application/json"})
    assert code(await site.client.put(item, content=body, headers=headers)) == expected
    assert (await site.client.get(item)).status_code == 404


async def test_half_a_character_is_put_up_with_as_on_sockets(site: Site, item: str) -> None:
    body = rb'{"by": "ada", "text": "\ud83d!"}'
    made = await site.client.put(item, content=body, headers=_headers("ada", {}))
    assert made.json()["text"] == "�!"


async def test_a_compressed_body_is_not_read(site: Site, item: str) -> None:
    answer = await site.put(item, {"by": "ada"}, content_encoding="gzip")
    assert code(answer) == (415, "BODY_UNSUPPORTED")


async def test_after_a_body_that_is_too_large_the_client_goes_on(site: Site, item: str) -> None:
    async with asyncio.timeout(60):
        for _ in range(2):
            assert code(await site.put(item, {"x": "x" * 100_000}))[0] == 413
            made = await site.put(item, {"x": "x" * 9_000, "by": "ada"})
            assert made.status_code in (200, 201)


async def test_methods_that_mean_nothing_are_refused_with_those_that_do(site: Site, item: str) -> None:
    group = item.removesuffix("/a")
    for method in ("PUT", "PATCH", "DELETE"):
        answer = await site.client.request(method, group, headers=_headers("ada", {}))
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    answer = await site.client.request("PROPFIND", item)
    assert answer.status_code == 405
    assert "PUT" in answer.headers["allow"]


async def test_a_page_from_elsewhere_writes_nothing(site: Site, item: str) -> None:
    for origin in ("https://evil.example", "null"):
        for method, path in (("PUT", item), ("POST", item.removesuffix("/a")), ("DELETE", item)):
            answer = await site.client.request(
                method, path, json={"type": "typing"}, headers=_headers("ada", {"origin": origin})
            )
            assert code(answer) == (403, "ORIGIN_REFUSED")
    own = str(site.client.base_url).rstrip("/")
    assert (await site.put(item, {"by": "ada"}, origin=own)).status_code == 201


async def test_another_backend_writes_what_its_token_is_for(site: Site, item: str) -> None:
    shut = item.replace("chat", "shut")
    assert (await site.put(shut, {"n": 1}, SERVICE)).status_code == 201
    assert code(await site.put(item, {"n": "one"}, SERVICE)) == (400, "SCHEMA_MISMATCH")
    assert (await site.put(item, {"by": "nobody we know"}, SERVICE)).status_code == 201
    assert code(await site.post(item, {"type": "typing"}, SERVICE))[0] == 403
    assert code(await site.put(item.replace("chat", "open"), {}, SERVICE))[0] == 403
    assert (await site.client.get(shut, headers=_headers(SERVICE, {}))).status_code == 403
    assert (await site.delete(shut, SERVICE)).status_code == 204


async def test_writers_of_one_item_who_take_care_lose_nothing(site: Site, item: str) -> None:
    await site.put(item, {"n": 0, "by": "ada"})

    async def add() -> None:
        while True:
            answer = await site.patch(item, [{"type": "increment", "path": "n"}])
            if answer.status_code == 200:
                return
            assert answer.status_code == 409  # Others wrote it, again and again.

    await asyncio.gather(*(add() for _ in range(20)))
    assert (await site.client.get(item)).json()["n"] == 20
