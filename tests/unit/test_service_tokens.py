"""Tokens of other backends: how they are declared, and what whoever brings one may do."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.settings import load_settings
from headwater.config import AuthSettings, ServerSettings, ServiceToken
from headwater.errors import ConfigError, Unauthenticated
from headwater.model import GroupKey
from headwater.peer import Peer
from headwater.server.http.authentication import Authentication
from headwater.server.http.origins import Origins
from headwater.server.live.gate import Ask, StreamGate
from headwater.steps.project.declare import Authenticator
from headwater.streams.catalog import VERBS, Catalog, Rights, StreamRules, Verb

SECRET = "a-token-of-some-length"
DIGEST = hashlib.sha256(SECRET.encode()).digest()
BILLING = ServiceToken("billing", DIGEST, frozenset({"bills"}), frozenset({"read", "write"}))


def load(folder: Path, text: str, **environ: str) -> tuple[ServiceToken, ...]:
    (folder / "headwater.toml").write_text(text)
    return load_settings(folder, environ=environ).settings.auth.service_tokens


def table(token: str, more: str = 'streams = ["bills"]\nmay = ["read", "write"]') -> str:
    return f"[auth.service_tokens.billing]\n{token}\n{more}\n"


def test_a_token_stands_in_the_file_in_the_environment_or_as_its_hash(tmp_path: Path) -> None:
    assert load(tmp_path, table(f'token = "{SECRET}"')) == (BILLING,)
    assert load(tmp_path, table('token_env = "BILLING"'), BILLING=SECRET) == (BILLING,)
    assert load(tmp_path, table(f'hash = "sha256:{DIGEST.hex()}"')) == (BILLING,)
    (tmp_path / ".env").write_text(f"BILLING={SECRET}\n")
    assert load(tmp_path, "[auth]\ncache = 1\n" + table('token_env = "BILLING"')) == (BILLING,)
    assert load(tmp_path, "") == ()


@pytest.mark.parametrize(
    "text",
    [
        table("tokn = 1"),
        table(""),
        table(f'token = "{SECRET}"\nhash = "sha256:{DIGEST.hex()}"'),
        table("token = 5"),
        table('token = "short-secret"'),
        table('token_env = "NOT_THERE"'),
        table('hash = "md5:1"'),
        table(f'token = "{SECRET}"', 'may = ["read"]'),
        table(f'token = "{SECRET}"', 'streams = ["a"]'),
        table(f'token = "{SECRET}"', 'streams = []\nmay = ["read"]'),
        table(f'token = "{SECRET}"', 'streams = "*"\nmay = ["read"]'),
        table(f'token = "{SECRET}"', 'streams = ["*"]\nmay = ["wirte"]'),
        table(f'token = "{SECRET}"') + table(f'token = "{SECRET}"').replace("billing", "other"),
        '[auth.service_tokens]\nbilling = "x"\n',
    ],
)
def test_a_table_that_cannot_be_used_is_refused_and_quotes_no_token(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    told = f"{refused.value.message} {refused.value.hint} {refused.value.details}"
    assert "auth.service_tokens.billing" in told or "auth.service_tokens.other" in told
    assert "headwater.toml:" in told
    assert SECRET not in told
    assert "short-secret" not in told


class Asked:
    def __init__(self) -> None:
        self.tokens: list[Any] = []

    async def __call__(self, asked: Any) -> bytes | None:
        self.tokens.append(asked.token)
        return b'{"user":"ada"}' if asked.token == "ada" else None


def who(asked: Asked, authenticator: bool = True) -> Authentication:
    known = Authentication(asked, AuthSettings(service_tokens=(BILLING,)), Origins(ServerSettings()))
    known.take(Authenticator("headwater_auth.py", "python") if authenticator else None)
    return known


def bearing(token: str, **more: Any) -> Peer:
    return Peer("http", headers={"authorization": f"Bearer {token}"}, **more)


@pytest.mark.parametrize("authenticator", [True, False])
async def test_a_service_is_known_without_asking_the_project(authenticator: bool) -> None:
    asked = Asked()
    known = await who(asked, authenticator).know(bearing(SECRET))
    assert (known.service, known.context, known.identity) == (BILLING, b'{"service":"billing"}', None)
    assert asked.tokens == []
    offered = Peer("websocket", headers={"sec-websocket-protocol": f"headwater.v1, headwater.token.{SECRET}"})
    assert (await who(asked).know(offered)).service is BILLING


async def test_another_token_is_the_projects_and_a_wrong_one_is_not_nobody() -> None:
    known = await who(Asked()).know(bearing("ada"))
    assert (known.service, known.identity) == (None, "ada")
    for authenticator in (True, False):
        with pytest.raises(Unauthenticated):
            await who(Asked(), authenticator).know(bearing(SECRET + "x"))
        assert (await who(Asked(), authenticator).know(Peer("http"))).service is None


async def test_a_token_in_an_address_is_no_services() -> None:
    with pytest.raises(Unauthenticated):
        await who(Asked()).know(Peer("http", f"/streams/bills/g?authToken={SECRET}"))


async def test_a_service_that_gives_another_token_in_band_is_no_service_any_more() -> None:
    known = await who(Asked()).know(bearing(SECRET))
    assert (await who(Asked()).know(bearing(SECRET, given="ada", service=known.service))).service is None
    assert (await who(Asked()).know(Peer("websocket", given=SECRET))).service is BILLING


def test_a_service_does_what_its_token_is_for_and_no_rule_is_asked() -> None:
    catalog = Catalog([StreamRules(name="headwater.jobs", hidden=True)])
    ruled = Rights(read="rule", write="rule", send="open", cancel="rule")
    catalog.declare([StreamRules(name="bills", rights=ruled, presence=True), StreamRules(name="other")])

    async def access(*_: Any) -> bool:
        raise AssertionError("nothing is to be asked")

    gate, peer = StreamGate(catalog, access), Peer("http", service=BILLING)

    def allowed(stream: str, verb: Verb) -> bool:
        verdict = gate.admit(Ask(peer, GroupKey(stream, "g"), "a", verb))
        assert isinstance(verdict, tuple)
        return verdict.allowed

    assert [verb for verb in VERBS if allowed("bills", verb)] == ["read", "write"]
    assert [verb for verb in VERBS if allowed("bills.presence", verb)] == ["read"]
    assert [verb for verb in VERBS if allowed("other", verb)] == []


@pytest.mark.parametrize("token", [SECRET, "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"])
async def test_what_is_revoked_of_a_service_is_what_is_looked_for(token: str) -> None:
    """Its token is looked for as a whole, also where it is written as signed ones are."""
    revoked = set[str | None]()
    service = replace(BILLING, digest=hashlib.sha256(token.encode()).digest())
    known = Authentication(
        Asked(),
        AuthSettings(service_tokens=(service,)),
        Origins(ServerSettings()),
        revoked=lambda _user, _issued, digest: digest in revoked,
    )
    revoked.add(known.digest_of(await known.know(bearing(token))))
    with pytest.raises(Unauthenticated):
        await known.know(bearing(token))
