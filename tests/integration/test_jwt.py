"""Tokens that say themselves who asks, over a whole server: no authenticator, no worker of the project."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from headwater.app import Running
from headwater.config import AuthSettings, ServerSettings, Settings, StorageSettings, WorkerSettings
from headwater.errors import ConfigError
from headwater.lifetime import running
from support.steps_project import write

STEPS = {
    "steps/own_stream.py": """
config = {"name": "own", "schema": None}

def can_access(subscription, auth):
    return auth is not None and auth["sub"] == subscription["groupId"]
""",
    "steps/me_step.py": """
config = {"type": "api", "name": "me", "path": "/me", "method": "GET", "emits": []}

async def handler(req, ctx):
    return {"status": 200, "body": req["auth"]}
""",
}


@contextlib.asynccontextmanager
async def serving(root: Path, files: dict[str, str] | None = None, **auth: Any) -> AsyncIterator[Running]:
    write(root, {**STEPS, **(files or {})})
    settings = Settings(
        project=root,
        server=ServerSettings(port=0),
        storage=StorageSettings(url="memory:"),
        workers=WorkerSettings(size=1, drain_timeout=1.0),
        auth=AuthSettings(**auth),
    )
    async with running(settings) as server:
        yield server


class Issuer:
    """Somebody who issues tokens and shows keys, at an address of this machine."""

    def __init__(self) -> None:
        self.keys = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.fetched = asyncio.Event()
        self.url = ""

    def token(self, kid: str = "one", lasts: float = 600, **more: Any) -> str:
        claims = {"sub": "ada", "exp": time.time() + lasts, **more}
        return jwt.encode(claims, self.keys[kid], "ES256", headers={"kid": kid})

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        algorithm = jwt.get_algorithm_by_name("ES256")
        keys = [
            {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid} for kid, key in self.keys.items()
        ]
        body = orjson.dumps({"keys": keys})
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        writer.close()
        self.fetched.set()


@contextlib.asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    listening = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/keys"
    async with listening:
        yield issuer


def by(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_set_of_keys_from_an_address_rotates(tmp_path: Path) -> None:
    async with (
        issuing() as issuer,
        serving(tmp_path, jwt_jwks=issuer.url, jwt_refresh=3600.0) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
    ):
        answer = await http.get("/me", headers=by(issuer.token(role="admin")))
        assert (answer.json()["sub"], answer.json()["role"]) == ("ada", "admin")
        assert (await http.get("/me")).json() is None
        assert (await http.get("/me", headers=by("guessed"))).status_code == 401
        late = await http.get("/me", headers=by(issuer.token(lasts=-1)))
        assert (late.status_code, late.json()["code"]) == (401, "TOKEN_EXPIRED")
        assert (await http.get("/streams/own/bob", headers=by(issuer.token()))).status_code == 403

        token = issuer.token()
        offers = [Subprotocol("headwater.v1"), Subprotocol(f"headwater.token.{token}")]
        async with connect(server.url.replace("http", "ws", 1), subprotocols=offers) as socket:
            await socket.send('{"t":"sub","sub":1,"stream":"own","group":"ada"}')
            while orjson.loads(await socket.recv())["t"] != "complete":
                pass
            issuer.keys = {"two": ec.generate_private_key(ec.SECP256R1())}
            keys = server.reception.keys
            assert keys is not None
            await keys.fetch()
            async with asyncio.timeout(30):
                await socket.wait_closed()
            assert socket.close_code == 1012, "the key that let it in is no more"
        assert (await http.get("/me", headers=by(token))).status_code == 401, "not from the cache either"
        assert (await http.get("/me", headers=by(issuer.token("two")))).json()["sub"] == "ada"


async def test_a_secret_needs_no_server_at_all(tmp_path: Path) -> None:
    secret = "a secret that has more than 32 bytes"
    async with (
        serving(tmp_path, jwt_key=secret, jwt_algorithms=("HS256",), jwt_leeway=30.0) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
    ):
        token = jwt.encode({"sub": "ada", "exp": time.time() - 5}, secret, "HS256")
        assert (await http.get("/me", headers=by(token))).json()["sub"] == "ada"
        assert server.project.authenticator is not None
        assert server.project.authenticator.file == "headwater.toml"


async def test_an_authenticator_beside_it_lets_nobody_in(tmp_path: Path) -> None:
    files = {"headwater_auth.py": "def authenticate(request):\n    return {}\n"}
    secret = "a secret that has more than 32 bytes"
    async with (
        serving(tmp_path, files, jwt_key=secret, jwt_algorithms=("HS256",)) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
    ):
        (problem,) = server.project.problems
        assert (problem.code, problem.file) == ("AUTH_INVALID", "headwater_auth.py")
        assert (await http.get("/me")).status_code == 503


async def test_a_key_that_cannot_be_used_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"auth\.jwt_key has 5 bytes"):
        async with serving(tmp_path, jwt_key="short", jwt_algorithms=("HS256",)):
            pass
