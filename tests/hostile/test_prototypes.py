"""Names that mean something to JavaScript, `__proto__` and its kin, through steps in TypeScript: in bodies,
queries, forms, items, operations, ids, state, contexts and events. They are names like any other, and what
one client sends changes no object of another."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest

from support.hostile import SECONDS, V1, Attacked, attacked
from support.socket_client import RawSocket, text

NAMES = ("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "then")
EVIL = b'{"__proto__":{"admin":true,"polluted":1},"constructor":{"prototype":{"polluted":1}},"n":1}'

FILES = {
    "headwater_auth.ts": """
export const authenticate = async (request) =>
  request.token === null ? null : JSON.parse(Buffer.from(request.token, 'base64').toString())
""",
    "steps/things.stream.ts": """
export const config = { name: 'things', schema: { type: 'object' } }
export const canWrite = true
export const canAccess = ({ groupId }, ctx) => groupId !== 'staff' || ctx?.admin === true
""",
    "steps/take.step.ts": """
export const config = { type: 'api', name: 'Take', method: 'POST', path: '/take/:id', emits: ['taken'] }
export const handler = async (req, { streams, state, emit, auth }) => {
  const { id } = req.pathParams
  const copy = { ...req.body, ...req.queryParams }
  const item = await streams.things.set('g', id, req.body)
  await state.set('g', id, req.body)
  const kept = await state.get('g', id)
  await emit({ topic: 'taken', data: req.body })
  const clean = ({}).polluted === undefined && [].polluted === undefined && ({}).admin === undefined
  const seen = { clean, admin: copy.admin === true, query: req.queryParams.admin === true }
  const texts = { item: JSON.stringify(item), kept: JSON.stringify(kept) }
  return { status: 200, body: { ...seen, ...texts, keys: Object.keys(req.body) } }
}
""",
    "steps/taken.step.ts": """
export const config = { type: 'event', name: 'Taken', subscribes: ['taken'], emits: [] }
export const handler = async (input, { streams }) => {
  await streams.things.set('events', 'last', { keys: Object.keys(input), clean: ({}).polluted === undefined })
}
""",
    "steps/clean.step.ts": """
export const config = { type: 'api', name: 'Clean', method: 'GET', path: '/clean', emits: [] }
export const handler = async () => {
  const objects = [{}, [], () => 1, new Map(), Object.create(Object.prototype)]
  return { status: 200, body: objects.every((one) => one.polluted === undefined && one.admin === undefined) }
}
""",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("prototypes") / "project", files=FILES) as server:
        yield server


async def answered(server: Attacked, method: str, path: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as http:
        return await http.request(method, path, **more)


async def is_clean(server: Attacked) -> bool:
    return (await answered(server, "GET", "/clean")).json() is True


JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_body_keeps_its_names_and_pollutes_nothing(server: Attacked) -> None:
    told = (await answered(server, "POST", "/take/a", content=EVIL, headers=JSON)).json()
    assert told["clean"] is True
    assert told["keys"] == ["__proto__", "constructor", "n"]
    for stored in (told["item"], told["kept"]):
        assert {k: v for k, v in orjson.loads(stored).items() if k != "id"} == orjson.loads(EVIL)
    item = await answered(server, "GET", "/streams/things/g/a")
    assert item.json() == {**orjson.loads(EVIL), "id": "a"}
    assert await is_clean(server)


QUERIES = (
    "__proto__[admin]=true",
    "constructor[prototype][admin]=true",
    "__proto__=1",
    "a[__proto__][admin]=1",
)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_and_a_form_pollute_nothing(server: Attacked, query: str) -> None:
    asked = await answered(server, "POST", f"/take/q?{query}", json={"n": 1})
    assert asked.status_code in (200, 400)
    if asked.status_code == 200:
        told = asked.json()
        assert (told["clean"], told["admin"], told["query"]) == (True, False, False)
    form = await answered(server, "POST", "/take/f", content=query, headers=FORM)
    if form.status_code == 200:
        assert form.json()["clean"] is True
    assert await is_clean(server)


@pytest.mark.parametrize("name", NAMES)
async def test_ids_by_such_names_are_ids_like_any_other(server: Attacked, name: str) -> None:
    told = await answered(server, "POST", f"/take/{name}", json={"n": 7})
    assert told.json()["clean"] is True
    assert orjson.loads(told.json()["kept"])["n"] == 7
    assert (await answered(server, "GET", f"/streams/things/g/{name}")).json() == {"n": 7, "id": name}
    missing = await answered(server, "GET", f"/streams/{quote(name)}/g/a")
    assert (missing.status_code, missing.json()["code"]) == (404, "STREAM_UNKNOWN")
    assert (await answered(server, "GET", f"/streams/things/{name}")).json()["items"] == []


PATHS = ("__proto__.polluted", "constructor.prototype.polluted", "a.__proto__.b")


async def test_operations_by_a_path_of_such_names_change_the_item_alone(server: Attacked) -> None:
    where = {"stream": "things", "group": "o", "id": "x"}
    async with server.beside(), await RawSocket.open(server.port, headers=V1) as socket:
        await socket.message()
        for path in PATHS:
            ops = [{"type": "set", "path": path, "value": 1}]
            socket.send(text(orjson.dumps({"t": "set", "ask": 1, "d": {"n": 1}} | where)))
            assert (await socket.message())["t"] == "ok"
            socket.send(text(orjson.dumps({"t": "update", "ask": 2, "ops": ops} | where)))
            assert (await socket.message())["t"] in ("ok", "error")
    assert await is_clean(server)


def token(claims: bytes) -> dict[str, str]:
    return {"authorization": f"Bearer {b64encode(claims).decode()}"}


async def test_a_context_is_what_it_says_itself_and_nothing_of_its_prototype(server: Attacked) -> None:
    for claims in (
        b'{"user":"m","__proto__":{"admin":true}}',
        b'{"user":"m","constructor":{"prototype":{"admin":true}}}',
    ):
        refused = await answered(server, "GET", "/streams/things/staff", headers=token(claims))
        assert (refused.status_code, refused.json()["code"]) == (403, "STREAM_ACCESS_DENIED")
    boss = await answered(server, "GET", "/streams/things/staff", headers=token(b'{"user":"b","admin":true}'))
    assert boss.status_code == 200
    assert await is_clean(server)


async def test_headers_and_cookies_by_such_names_pollute_nothing(server: Attacked) -> None:
    odd = {"__proto__": "admin", "constructor": "x", "cookie": "__proto__=admin; constructor=x"}
    told = await answered(server, "POST", "/take/h", json={"n": 1}, headers=odd)
    assert told.json()["clean"] is True
    assert await is_clean(server)


async def test_an_event_keeps_its_names(server: Attacked) -> None:
    async with server.beside() as behaved:
        await answered(server, "POST", "/take/e", content=EVIL, headers=JSON)
        while True:
            last = await answered(server, "GET", "/streams/things/events/last")
            if last.status_code == 200 and len(last.json()["keys"]) == 3:
                break
            await behaved.answers(1)
    assert last.json() == {"keys": ["__proto__", "constructor", "n"], "clean": True, "id": "last"}
