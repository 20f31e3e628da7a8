"""Who follows streams, as `streamAuth` of an old project's `motia.config` says it: a whole server with a real
Node worker, by the handshake of the published old clients and by ours."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from headwater.app import Running
from headwater.config import (
    AuthSettings,
    ServerSettings,
    ServiceToken,
    Settings,
    StorageSettings,
    WorkerSettings,
)
from headwater.lifetime import running
from support.node_worker import node_worker
from support.steps_project import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
import { config, type StreamAuthRequest } from 'motia'

const tokenOf = ({ headers, url }: StreamAuthRequest) => {
  const [scheme, token] = (headers['sec-websocket-protocol'] ?? '').split(',')
  if (scheme === 'Authorization' && token) return token.trim()
  return new URL(url, 'http://localhost').searchParams.get('authToken')
}

export default config({
  plugins: [],
  streamAuth: {
    contextSchema: { type: 'object', properties: { user: { type: 'string' } } },
    users: { 'ada-token': 'ada', 'bob-token': 'bob' },
    async authenticate(request: StreamAuthRequest) {
      const token = tokenOf(request)
      if (token === 'forged') throw new Error(`no such key: ${token}`)
      const user = this.users[token ?? '']
      return user === undefined ? null : { user, given: Object.keys(request).sort() }
    },
  },
})
"""
CONFIG_JS = """
module.exports = {
  streamAuth: {
    authenticate: ({ headers }) =>
      headers['sec-websocket-protocol']?.endsWith('ada-token') ? { user: 'ada' } : null,
  },
}
"""
STEPS = {
    "steps/me_step.py": """
config = {"type": "api", "name": "me", "path": "/me", "method": "GET", "emits": []}

async def handler(req, ctx):
    return {"status": 200, "body": {"auth": req["auth"], "token": req["headers"].get("authorization")}}
""",
    "steps/open.stream.ts": "export const config = { name: 'open', schema: {} }\n",
    "steps/own.stream.ts": """
export const config = { name: 'own', schema: {} }
export const canAccess = ({ groupId }, auth) => auth?.user === groupId
""",
    "steps/shape.stream.ts": """
export const config = { name: 'shape', schema: {} }
export const canAccess = (_, auth) => auth?.given.join() === 'headers,url'
""",
    "steps/nobody.stream.ts": """
export const config = { name: 'nobody', schema: {} }
export const canAccess = (_, auth) => auth === null
""",
}


class Site(NamedTuple):
    root: Path
    server: Running
    client: httpx.AsyncClient

    def socket(self, *offers: str, query: str = "") -> connect:
        url = f"{self.server.url.replace('http', 'ws', 1)}/{query}"
        return connect(url, subprotocols=[Subprotocol(one) for one in offers] or None)

    async def read(self, stream: str, group: str, token: str = "", **headers: str) -> int:
        given = {"authorization": f"Bearer {token}"} if token else {}
        path = f"/streams/{stream}/{group}"
        async with self.client.stream("GET", path, headers={**given, **headers}) as answer:
            return answer.status_code


@asynccontextmanager
async def site_of(root: Path, files: dict[str, str], **more: Any) -> AsyncIterator[Site]:
    node_worker()
    write(root, {**STEPS, **files})
    settings = Settings(
        project=root,
        server=ServerSettings(port=0),
        storage=StorageSettings(url="memory:"),
        workers=WorkerSettings(size=1, drain_timeout=1.0),
    )
    settings = replace(settings, **more)
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield Site(root, server, client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    async with site_of(tmp_path_factory.mktemp("old"), {"motia.config.ts": CONFIG}) as site:
        yield site


async def joins(socket: ClientConnection, stream: str, group: str) -> bool:
    """Whether an old client may follow a group."""
    data = {"streamName": stream, "groupId": group, "subscriptionId": f"{stream}/{group}"}
    await socket.send(orjson.dumps({"type": "join", "data": data}).decode())
    event = orjson.loads(await socket.recv())["event"]
    if event["type"] == "sync":
        return True
    assert event["event"]["data"]["code"] == "STREAM_ACCESS_DENIED"
    return False


async def test_an_old_client_is_known_by_its_handshake(site: Site) -> None:
    async with site.socket("Authorization", "ada-token") as socket:
        assert socket.subprotocol == "Authorization"
        assert await joins(socket, "own", "ada")
        assert not await joins(socket, "own", "bob")
        assert await joins(socket, "shape", "x")
    async with site.socket(query="?authToken=bob-token") as socket:
        assert await joins(socket, "own", "bob")


async def test_null_is_anonymous_with_a_token_and_without(site: Site) -> None:
    for offers in ((), ("Authorization", "of-nobody")):
        async with site.socket(*offers) as socket:
            assert await joins(socket, "nobody", "x")
            assert not await joins(socket, "own", "ada")
    assert await site.read("nobody", "x", "of-nobody") == 200


async def test_a_throw_refuses_and_the_log_holds_no_token(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await site.socket("Authorization", "forged").__aenter__()
    assert refused.value.response.status_code == 401
    assert await site.read("open", "x", "forged") == 401
    told = [record for record in caplog.records if "no such key" in record.getMessage()]
    assert told
    assert "motia.config.ts" in str(vars(told[0]))
    assert "forged" not in str([vars(record) for record in caplog.records])


async def test_our_clients_and_plain_requests_bring_their_token_where_the_old_function_looks(
    site: Site,
) -> None:
    async with site.socket("headwater.v1", "headwater.token.ada-token") as socket:
        for sub, (group, answer) in enumerate((("ada", "subscribed"), ("bob", "error"))):
            await socket.send(
                orjson.dumps({"t": "sub", "sub": sub, "stream": "own", "group": group}).decode()
            )
            while (told := orjson.loads(await socket.recv())).get("sub") != sub:
                pass
            assert told["t"] == answer
    assert await site.read("own", "ada", "ada-token") == 200
    assert await site.read("own", "bob", "ada-token") == 403
    assert await site.read("own", "ada", "ada-token", accept="text/event-stream") == 200
    assert await site.read("own", "ada", accept="text/event-stream") == 403


async def test_api_steps_are_not_asked_about(site: Site) -> None:
    answer = await site.client.get("/me", headers={"authorization": "Bearer forged"})
    assert answer.json() == {"auth": None, "token": "Bearer forged"}


async def test_another_load_asks_everybody_again_and_a_broken_one_leaves_the_last_in_use(
    tmp_path: Path,
) -> None:
    async with site_of(tmp_path, {"motia.config.ts": CONFIG}) as site:
        assert await site.read("own", "ada", "ada-token") == 200
        async with site.socket("Authorization", "ada-token") as socket:
            write(tmp_path, {"motia.config.ts": CONFIG.replace("'ada-token'", "'new-token'")})
            await site.server.runtime.reload()
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert await site.read("own", "ada", "ada-token") == 403
        assert await site.read("own", "ada", "new-token") == 200
        for broken in (
            "import 'not-installed-here'\n" + CONFIG,
            CONFIG.replace("plugins: []", "plugins: [{"),
        ):
            write(tmp_path, {"motia.config.ts": broken})
            await site.server.runtime.reload()
            assert "motia.config.ts" in {one.file for one in site.server.runtime.project.problems}
            assert await site.read("own", "ada", "new-token") == 200
            assert await site.read("open", "x", "forged") == 401


@pytest.mark.parametrize(
    "broken",
    [
        "import 'not-installed-here'\n" + CONFIG,
        "export default { streamAuth: undefined }",
        "export default { streamAuth: { authenticate: 'ada' } }",
    ],
)
async def test_a_config_that_cannot_be_used_closes_streams_and_nothing_else(
    tmp_path: Path, broken: str
) -> None:
    async with site_of(tmp_path, {"motia.config.ts": broken}) as site:
        (problem,) = [one for one in site.server.runtime.project.problems if one.level == "error"]
        assert problem.file == "motia.config.ts"
        assert (await site.client.get("/me")).status_code == 200
        assert await site.read("open", "x") == 503
        assert await site.read("open", "x", accept="text/event-stream") == 503
        for offers in ((), ("Authorization", "ada-token")):
            with pytest.raises(InvalidStatus) as refused:
                await site.socket(*offers).__aenter__()
            assert refused.value.response.status_code == 503


async def test_a_restart_knows_everybody_again(tmp_path: Path) -> None:
    stored = {"storage": StorageSettings()}
    for _ in range(2):
        async with (
            site_of(tmp_path, {"motia.config.js": CONFIG_JS}, **stored) as site,
            site.socket("Authorization", "ada-token") as socket,
        ):
            assert await joins(socket, "own", "ada")
            assert not await joins(socket, "own", "bob")


async def test_a_file_of_our_own_counts_instead(tmp_path: Path) -> None:
    own = "def authenticate(request):\n    return {'user': 'ada'} if request.token == 't' else None\n"
    async with site_of(tmp_path, {"motia.config.ts": CONFIG, "headwater_auth.py": own}) as site:
        messages = [one.message for one in site.server.runtime.project.problems]
        assert '"streamAuth" is not used: headwater_auth.py says who asks' in messages
        assert await site.read("own", "ada", "t") == 200
        assert await site.read("open", "x", "ada-token") == 401


async def test_signed_tokens_count_instead(tmp_path: Path) -> None:
    auth = AuthSettings(jwt_key="a secret of thirty-two characters", jwt_algorithms=("HS256",))
    async with site_of(tmp_path, {"motia.config.ts": CONFIG}, auth=auth) as site:
        messages = [one.message for one in site.server.runtime.project.problems]
        assert '"streamAuth" is not used: [auth] jwt_* in the settings says who asks' in messages
        assert await site.read("open", "x", "ada-token") == 401
        assert (await site.client.get("/me", headers={"authorization": "Bearer x"})).status_code == 401


async def test_a_service_token_is_known_beside_it(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"token-of-billing").digest()
    billing = ServiceToken("billing", digest, frozenset({"own"}), frozenset({"read"}))
    auth = AuthSettings(service_tokens=(billing,))
    async with site_of(tmp_path, {"motia.config.ts": CONFIG}, auth=auth) as site:
        assert await site.read("own", "ada", "token-of-billing") == 200
        assert await site.read("own", "ada", "ada-token") == 200
        for token, known in (("token-of-billing", {"service": "billing"}), ("a-step-s-own", None)):
            answer = await site.client.get("/me", headers={"authorization": f"Bearer {token}"})
            assert answer.json()["auth"] == known
