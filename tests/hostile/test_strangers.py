"""Whoever is not who they say, or asks for what is another's: tokens that are forged, expired and used again,
tenants guessed by id and prefix, pages and names of elsewhere. Nobody gets a byte of what is not theirs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from support.hostile import GROUP, ROOM, V1, Attacked, attacked
from support.socket_client import RawSocket, text

CANARY = "of-ada-alone-7f3a"
KEY = b"a-key-of-this-test"

FILES = {
    "headwater_auth.py": f"""
import base64, hashlib, hmac, json, time

KEY = {KEY!r}


async def authenticate(request):
    if request.token is None:
        return None
    body, _, tag = request.token.partition(".")
    if not hmac.compare_digest(hmac.new(KEY, body.encode(), hashlib.sha256).hexdigest(), tag):
        return None
    claims = json.loads(base64.urlsafe_b64decode(body))
    return claims if claims["exp"] > time.time() else None
""",
    "steps/vault_stream.py": """
config = {"name": "vault", "schema": None, "presence": True}


async def can_access(asked, ctx):
    return ctx is not None and asked["groupId"].split(":")[0] == ctx["user"]


async def can_write(change, ctx):
    return ctx is not None and change["groupId"].split(":")[0] == ctx["user"]
""",
    "steps/seal_step.py": f"""
config = {{"type": "api", "name": "Seal", "method": "POST", "path": "/seal", "emits": []}}


async def handler(req, ctx):
    await ctx.streams.vault.set("ada:1", "secret", {{"text": "{CANARY}"}})
    await ctx.state.set("ada:1", "secret", {{"text": "{CANARY}"}})
    return {{"status": 200, "body": {{}}}}
""",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("strangers") / "project", files=FILES) as server:
        asyncio.run(raw(server, "POST", "/seal"))
        yield server


def token(user: str, *, key: bytes = KEY, lasts: float = 600, **more: Any) -> str:
    """A token of a user, by default a good one."""
    claims = {"user": user, "exp": time.time() + lasts, **more}
    body = urlsafe_b64encode(orjson.dumps(claims)).decode()
    return f"{body}.{hmac.new(key, body.encode(), hashlib.sha256).hexdigest()}"


def tampered() -> str:
    """Mallory's good token, with Ada's name put into it."""
    _, _, tag = token("mallory").partition(".")
    return f"{urlsafe_b64encode(orjson.dumps({'user': 'ada', 'exp': time.time() + 600})).decode()}.{tag}"


async def raw(server: Attacked, method: str, target: str, *lines: str) -> bytes:
    """Ask for a target exactly as it is written, and read all of the answer, or what comes of one that goes
    on within a moment."""
    async with await RawSocket.connect(server.port) as client:
        host = () if any(line.lower().startswith("host:") for line in lines) else ("host: localhost",)
        head = [
            f"{method} {target} HTTP/1.1",
            *host,
            "connection: close",
            "content-length: 0",
            *lines,
            "",
            "",
        ]
        client.send("\r\n".join(head).encode())
        got = await client.reader.readuntil(b"\r\n\r\n")
        if b"text/event-stream" in got:
            return got + await client.reader.readuntil(b"\n\n")
        return got + await client.reader.read(-1)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def bearer(text: str) -> str:
    return f"authorization: Bearer {text}"


FORGED = {
    "by another key": lambda: token("ada", key=b"guessed"),
    "tampered with": tampered,
    "expired": lambda: token("ada", lasts=-1),
    "cut": lambda: token("ada")[:-1],
    "with more behind it": lambda: token("ada") + "0",
    "without a tag": lambda: token("ada").partition(".")[0] + ".",
    "no token at all": lambda: "null",
    "two in one": lambda: f"{token('mallory')}, Bearer {token('ada', key=b'x')}",
    "not of this world": lambda: "\u00e9\u00ff",
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED.keys())
async def test_a_token_that_is_not_believed_opens_nothing_anywhere(server: Attacked, make: Any) -> None:
    async with server.beside():
        odd = make()
        vault = "/streams/vault/ada:1"
        answers = [
            await raw(server, "GET", vault, bearer(odd)),
            await raw(server, "GET", vault, bearer(odd), "accept: text/event-stream"),
            await raw(server, "GET", f"{vault}?authToken={quote(odd)}"),
            await raw(server, "GET", f"/streams/{ROOM}/{GROUP}", bearer(odd)),
            await raw(server, "POST", "/seal", bearer(odd)),
        ]
        assert [status(one) for one in answers] == [401] * 5
        assert all(b"www-authenticate: Bearer" in one for one in answers)
        async with await RawSocket.connect(server.port) as client:
            head = await client.shake("/", {**V1, "Authorization": f"Bearer {odd}"})
            assert (head.status, head.headers["www-authenticate"]) == (401, "Bearer")
    assert CANARY.encode() not in b"".join(answers)


async def opened(server: Attacked, *, good: str = "") -> RawSocket:
    named = {**V1, "Authorization": f"Bearer {good}"} if good else V1
    socket = await RawSocket.open(server.port, headers=named)
    assert (await socket.message())["t"] == "hello"
    return socket


def say(socket: RawSocket, **message: Any) -> None:
    socket.send(text(orjson.dumps(message)))


async def heard(socket: RawSocket) -> list[dict[str, Any]]:
    """All that is said before the answer to a ping, that is all there is to say so far but for rules."""
    say(socket, t="ping")
    messages = [await socket.message()]
    while messages[-1]["t"] != "pong":
        messages.append(await socket.message())
    return messages[:-1]


async def test_a_token_used_again_after_it_has_expired_is_refused_in_band(server: Attacked) -> None:
    old = token("ada", lasts=-1)
    async with server.beside(), await opened(server, good=token("mallory")) as socket:
        for ask, odd in enumerate((old, tampered(), token("ada", key=b"guessed"), "")):
            say(socket, t="auth", ask=ask, token=odd)
            told = await socket.message()
            assert (told["t"], told["code"]) in (("error", "UNAUTHENTICATED"), ("error", "PROTOCOL_FAULT"))
        say(socket, t="sub", sub=1, stream="vault", group="ada:1")
        assert (await socket.message())["code"] == "STREAM_ACCESS_DENIED"
        say(socket, t="sub", sub=2, stream="vault", group="mallory:1")
        assert (await socket.message())["t"] == "subscribed", "and it is still who it was"


GUESSES = (
    *(
        "ada:1",
        "ada",
        "ada:",
        "Ada:1",
        "ada:1 ",
        " ada:1",
        "ada:1/secret",
        "ada%3A1",
        "mallory/ada:1",
        "..",
        ".",
    ),
    *("mallory:1/../ada:1", "mallory:1\x00ada:1", "mallory:1' OR '1'='1", "*", "%", "_"),
    *("ada\u200b:1", "\uff41da:1"),
)
HIDDEN = ("headwater.jobs", "headwater.state", "$state", "state", "headwater.revocations", "vault ")


async def test_no_guess_of_another_tenant_s_group_lets_a_socket_see_it(server: Attacked) -> None:
    async with server.beside(), await opened(server, good=token("mallory")) as socket:
        number = 0
        for stream in ("vault", "vault.presence"):
            for guess in GUESSES:
                for item in (None, "secret"):
                    number += 1
                    say(
                        socket,
                        t="sub",
                        sub=number,
                        stream=stream,
                        group=guess,
                        **({"id": item} if item else {}),
                    )
                    told = [await socket.message()]
                    while told[-1]["t"] not in ("error", "complete"):
                        told.append(await socket.message())
                    assert CANARY not in orjson.dumps(told).decode()
                    mine = guess.split(":")[0] == "mallory"
                    assert (told[-1]["t"] == "complete") == mine, (guess, told)
        for hidden in (
            "headwater.jobs",
            "headwater.state",
            "$state",
            "state",
            "headwater.revocations",
            "vault ",
        ):
            say(socket, t="sub", sub=9999, stream=hidden, group="ada:1")
            assert (await socket.message())["code"] == "STREAM_UNKNOWN"


async def test_no_guess_of_another_tenant_s_group_is_written(server: Attacked) -> None:
    async with server.beside(), await opened(server, good=token("mallory")) as socket:
        for ask, guess in enumerate(GUESSES):
            if guess.split(":")[0] == "mallory":
                continue
            say(socket, t="set", ask=ask, stream="vault", group=guess, id="secret", d={"text": "mine"})
            told = await socket.message()
            assert told["code"] in ("STREAM_ACCESS_DENIED", "PROTOCOL_FAULT", "INVALID_INPUT"), (guess, told)
    kept = await raw(server, "GET", "/streams/vault/ada:1/secret", bearer(token("ada")))
    assert CANARY.encode() in kept


TARGETS = (
    "/streams/vault/ada:1",
    "/streams/vault/ada%3A1",
    "/streams/vault/ada%3a1/secret",
    "/streams/vault//ada:1",
    "/streams//vault/ada:1",
    "/streams/vault/mallory:1/../ada:1",
    "/streams/vault/mallory:1/%2e%2e/ada:1",
    "/streams/vault/mallory:1%2f..%2fada:1",
    "/streams/vault/mallory:1/..%5cada:1",
    "/streams/./vault/ada:1",
    "/streams/room/../vault/ada:1",
    "/streams/room/%2e%2e/vault/ada:1/secret",
    "/streams/vault/ada:1%00",
    "/streams/vault/ada:1;x",
    "/streams/vault/ada:1?group=mallory:1",
    "/streams?stream=vault&group=ada:1",
    "/streams?stream=vault&group=mallory:1&group=ada:1",
    "/streams?stream=vault&group=ada:1&group=mallory:1",
    "/streams?stream=room&stream=vault&group=ada:1",
    "/streams?stream=vault&group[]=ada:1",
    "/streams/vault.presence/ada:1",
    "/STREAMS/vault/ada:1",
    "/streams/vault/%61da:1",
    "/streams/vault/ada:1/",
    "/streams/vault/ada:1/secret/",
    "/streams/vault/%C0%AEada:1",
    "/streams/vault/ada:1#x",
    "//streams/vault/ada:1",
    "http://localhost/streams/vault/ada:1",
    "/public/../streams/vault/ada:1",
    "/../.headwater/data.db",
    "/%2e%2e/.headwater/data.db",
    "/..%2f.headwater/data.db",
    "/.headwater/data.db",
    "/steps/vault_stream.py",
    "/headwater_auth.py",
    "/.env",
    "/headwater/../headwater_auth.py",
)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_no_path_leads_to_what_is_another_s(server: Attacked, accept: str) -> None:
    async with server.beside():
        for target in TARGETS:
            for lines in ((bearer(token("mallory")),), ()):
                got = await raw(server, "GET", target, f"accept: {accept}", *lines)
                assert CANARY.encode() not in got, target
                assert KEY not in got, target
                assert b"Traceback" not in got, target
                # A slash that is encoded is a part of a name, and of a parameter given twice the last counts.
                mine = (200,) if "mallory" in target and lines else ()
                assert status(got) in (400, 401, 403, 404, *mine), (target, got[:100])
    assert CANARY.encode() in await raw(server, "GET", "/streams/vault/ada:1", bearer(token("ada")))


ELSEWHERE = ("https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
             "https://localhost:1@evil.example", "file://", "http://evil.example#localhost")  # fmt: skip


@pytest.mark.parametrize("origin", ELSEWHERE)
async def test_a_page_of_elsewhere_opens_no_socket_cancels_nothing_and_uses_no_cookies(
    server: Attacked, origin: str
) -> None:
    async with server.beside(), await RawSocket.connect(server.port) as client:
        head = await client.shake("/", {**V1, "Origin": origin})
        assert head.status == 403
    cancel = await raw(server, "POST", f"/streams/{ROOM}/{GROUP}/a/cancel", f"origin: {origin}")
    cookies = await raw(server, "GET", f"/streams/{ROOM}/{GROUP}", f"origin: {origin}", "cookie: session=1")
    assert status(cancel) == status(cookies) == 403
    assert b"access-control-allow-origin" not in cookies.lower()


NAMES = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:3000",
    "0x7f.1",
    "a b",
)


@pytest.mark.parametrize("host", NAMES)
async def test_a_name_of_elsewhere_is_no_name_of_this_server(server: Attacked, host: str) -> None:
    async with server.beside():
        for target in (f"/streams/{ROOM}/{GROUP}", "/headwater/client.js", "/nowhere", "/headwater/admin"):
            answer = await raw(server, "GET", target, f"host: {host}")
            assert status(answer) in (400, 403), (target, answer[:200])
