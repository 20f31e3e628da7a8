"""What is asked of a project about who asks, and for how long an answer holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from headwater.config import AuthSettings, ServerSettings
from headwater.errors import OriginRefused, TokenExpired, Unauthenticated
from headwater.peer import Peer
from headwater.server.http.authentication import Authentication, Revoked
from headwater.server.http.origins import Origins
from headwater.steps.project.declare import Authenticator
from headwater.steps.project.triggers.authenticate import AuthQuestion

WHO = Authenticator("headwater_auth.py", "python")


class Project:
    """Answers what `answers` has for a token, and notes what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str | None, bytes] = {"t": b'{"user":"ada"}', "s": b'{"sub":7}', "n": b"{}"}
        self.asked: list[AuthQuestion] = []
        self.now = 0.0
        self.wall = 1000.0
        self.gate: asyncio.Event | None = None

    async def ask(self, asked: AuthQuestion) -> bytes | None:
        self.asked.append(asked)
        answer = self.answers.get(asked.token)
        if self.gate is not None:
            await self.gate.wait()
        return answer

    def authentication(
        self,
        who: Authenticator | None = WHO,
        *,
        pages: str = "https://app.example",
        revoked: Revoked = lambda _user, _issued, _token: False,
        **settings: object,
    ) -> Authentication:
        origins = Origins(ServerSettings(cors_origins=tuple(pages.split())))
        given = AuthSettings(**settings)  # pyright: ignore[reportArgumentType]
        made = Authentication(self.ask, given, origins, lambda: self.now, lambda: self.wall, revoked)
        made.take(who)
        return made


def peer(token: str | None = None, **headers: str) -> Peer:
    given = headers if token is None else {"authorization": f"Bearer {token}", **headers}
    return Peer("http", "/a?b=c", "192.0.2.1", given)


async def test_where_the_project_says_nothing_nothing_is_asked() -> None:
    project = Project()
    anybody = peer("t")
    assert await project.authentication(None).know(anybody) is anybody
    assert project.asked == []


@pytest.mark.parametrize(("token", "identity"), [("t", "ada"), ("s", "7"), ("n", None)])
async def test_the_context_and_the_name_in_it_become_the_peers(token: str, identity: str | None) -> None:
    project = Project()
    known = await project.authentication().know(peer(token))
    assert (known.identity, known.context) == (identity, project.answers[token])
    assert project.asked[0].url == "/a?b=c"


async def test_a_token_that_is_not_known_is_refused_and_none_is_anonymous() -> None:
    authentication = Project().authentication()
    assert (await authentication.know(peer())).context is None
    with pytest.raises(Unauthenticated):
        await authentication.know(peer("guessed"))


async def test_an_answer_holds_for_its_token_as_long_as_the_setting_says() -> None:
    project = Project()
    authentication = project.authentication(cache=10.0)
    for token in ("t", "t", "s", "t"):
        await authentication.know(peer(token))
    assert [one.token for one in project.asked] == ["t", "s"]
    project.now = 10.0
    await authentication.know(peer("t"))
    assert len(project.asked) == 3

    for _ in range(2):  # A refusal is asked anew, and so is nobody.
        with pytest.raises(Unauthenticated):
            await authentication.know(peer("guessed"))
        await authentication.know(peer())
    assert len(project.asked) == 7


async def test_an_answer_is_held_no_longer_than_its_token_lasts() -> None:
    project = Project()
    project.answers["t"] = b'{"user":"ada","exp":1005}'
    authentication = project.authentication(cache=100.0)
    assert (await authentication.know(peer("t"))).expires == 1005
    project.wall = 1004.9
    await authentication.know(peer("t"))
    assert len(project.asked) == 1

    project.wall = 1005.0
    with pytest.raises(TokenExpired):
        await authentication.know(peer("t"))
    project.answers["t"] = b'{"user":"ada","exp":2000}'  # A session that goes on by being used.
    assert (await authentication.know(peer("t"))).expires == 2000
    assert len(project.asked) == 3


async def test_a_token_given_in_band_counts_alone() -> None:
    project = Project()
    came = Peer(
        "websocket", "/?authToken=old&a=b", "192.0.2.1", {"sec-websocket-protocol": "headwater.token.old"}
    )
    await project.authentication().know(replace(came, given="t"))
    (asked,) = project.asked
    assert (asked.token, asked.headers, asked.query) == ("t", {"authorization": "Bearer t"}, {"a": "b"})


async def test_no_more_answers_are_held_than_the_setting_says() -> None:
    project = Project()
    authentication = project.authentication(cache=10.0, cache_size=2)
    for token in ("t", "s", "n", "t"):
        await authentication.know(peer(token))
    assert [one.token for one in project.asked] == ["t", "s", "n", "t"]


async def test_an_authenticator_that_comes_meanwhile_is_asked_too() -> None:
    project = Project()
    project.gate = asyncio.Event()
    authentication = project.authentication(cache=10.0)
    knowing = asyncio.create_task(authentication.know(peer("t")))
    while not project.asked:
        await asyncio.sleep(0)
    project.answers["t"] = b'{"user":"bob"}'
    assert authentication.take(Authenticator("headwater_auth.py", "python", stamp="other"))
    assert not authentication.take(Authenticator("headwater_auth.py", "python", stamp="other"))
    project.gate.set()
    assert (await knowing).identity == "bob"
    assert (await authentication.know(peer("t"))).identity == "bob"


async def test_what_is_revoked_has_nobody_else_asked_again() -> None:
    """However often it happens while somebody is asked: else nobody could come in meanwhile."""
    project = Project()
    authentication = project.authentication(cache=10.0)
    await authentication.know(peer("s"))
    project.gate = asyncio.Event()
    knowing = asyncio.create_task(authentication.know(peer("t")))
    while len(project.asked) < 2:
        await asyncio.sleep(0)
    authentication.doubt()
    project.gate.set()
    assert (await knowing).identity == "ada"
    await authentication.know(peer("s"))
    await authentication.know(peer("t"))
    assert [one.token for one in project.asked] == ["s", "t"]


async def test_what_is_forgotten_meanwhile_is_asked_again() -> None:
    project = Project()
    project.gate = asyncio.Event()
    authentication = project.authentication(cache=10.0)
    knowing = asyncio.create_task(authentication.know(peer("t")))
    while not project.asked:
        await asyncio.sleep(0)
    project.answers["t"] = b'{"user":"bob"}'
    authentication.forget()
    project.gate.set()
    assert (await knowing).identity == "bob"


async def test_a_token_that_is_revoked_while_it_is_asked_about_is_refused() -> None:
    project, revoked = Project(), set[str | None]()
    project.gate = asyncio.Event()
    authentication = project.authentication(revoked=lambda user, _issued, _token: user in revoked)
    knowing = asyncio.create_task(authentication.know(peer("t")))
    while not project.asked:
        await asyncio.sleep(0)
    revoked.add("ada")
    authentication.doubt()
    project.gate.set()
    with pytest.raises(Unauthenticated):
        await knowing


async def test_a_cookie_is_a_token_where_nothing_else_is() -> None:
    authentication = Project().authentication(cookie="session")
    assert (await authentication.know(peer(cookie="a=b; session=t"))).identity == "ada"
    assert (await authentication.know(peer("s", cookie="session=t"))).identity == "7"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", True),
        ("http://here.example", True),
        ("https://evil.example", False),
        ("null", False),
    ],
)
async def test_cookies_speak_for_nobody_on_pages_of_elsewhere(origin: str, allowed: bool) -> None:
    authentication = Project().authentication()
    asks = peer(None, cookie="session=t", origin=origin, host="here.example")
    bare = peer(None, origin=origin, host="here.example")
    await authentication.know(bare)
    if allowed:
        await authentication.know(asks)
    else:
        with pytest.raises(OriginRefused):
            await authentication.know(asks)


async def test_a_star_lets_pages_read_what_is_everybodys_and_act_for_nobody() -> None:
    authentication = Project().authentication(pages="* https://app.example", cookie="session")
    await authentication.know(peer(None, origin="https://evil.example", host="here.example"))
    assert (await authentication.know(peer("t", origin="https://evil.example"))).identity == "ada"
    with pytest.raises(OriginRefused):
        await authentication.know(peer(None, cookie="session=t", origin="https://evil.example"))
    named = await authentication.know(peer(None, cookie="session=t", origin="https://app.example"))
    assert named.identity == "ada"


@pytest.mark.parametrize("scheme", ["Basic", "digest", "Negotiate", "NTLM"])
async def test_a_password_that_the_browser_adds_is_no_page_of_elsewheres(scheme: str) -> None:
    project = Project()
    project.answers[f"{scheme} dTpw"] = b'{"user":"ada"}'
    given = {"authorization": f"{scheme} dTpw", "host": "here.example"}
    assert (await project.authentication().know(peer(**given))).identity == "ada"
    assert (
        await project.authentication().know(peer(**given, origin="https://here.example"))
    ).identity == "ada"
    with pytest.raises(OriginRefused):
        await project.authentication().know(peer(**given, origin="https://evil.example"))


async def test_a_revoked_token_that_is_signed_is_revoked_however_its_signature_is_written() -> None:
    authentication = Project().authentication()
    head, claims = "eyJhbGciOiJFUzI1NiJ9", "eyJzdWIiOiJhZGEifQ"

    def digest(token: str) -> str | None:
        return authentication.digest_of(peer(token))

    signed = digest(f"{head}.{claims}.c2lnbmF0dXJl")
    assert digest(f"{head}.{claims}.c2lnbmF0dXJl=") == signed
    assert digest(f"{head}.{claims}.b3RoZXIgb25l") == signed
    assert digest(f"{head}.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl") != signed


@pytest.mark.parametrize("begins", ["v4.local.", "e30.e30.", "ada.", "", "...", "eyJhbGciOiJub25lIn0.a.b."])
async def test_of_other_tokens_all_counts(begins: str) -> None:
    authentication = Project().authentication()
    assert authentication.digest_of(peer(begins + "x")) != authentication.digest_of(peer(begins + "y"))


async def test_what_stands_against_somebody_is_known_later_without_asking() -> None:
    project = Project()
    project.answers["long"] = b'{"user":"ada","iat":900,"exp":1010}'
    taken = set[tuple[str | None, float | None]]()
    authentication = project.authentication()
    authentication._revoked = lambda user, issued, _token: (user, issued) in taken
    known = await authentication.know(peer("long"))
    assert authentication.fault_of(known) is None
    assert authentication.fault_of(peer()) is None
    taken.add(("ada", 900))
    assert isinstance(authentication.fault_of(known), Unauthenticated)
    project.wall = 1010.0
    assert isinstance(authentication.fault_of(known), TokenExpired)


OLD = Authenticator("motia.config.ts", "node", name="streamAuth", old=True)


async def test_to_the_old_format_a_token_that_it_does_not_know_is_nobody() -> None:
    project = Project()
    who = project.authentication(OLD)
    assert (await who.know(peer("guessed"))).context is None
    assert (await who.know(peer("t"))).identity == "ada"


async def test_a_revoked_token_is_not_nobody_to_the_old_format_either() -> None:
    project = Project()
    who = project.authentication(OLD, revoked=lambda _user, _issued, token: token is not None)
    for token in ("guessed", "t"):
        with pytest.raises(Unauthenticated):
            await who.know(peer(token))


async def test_the_old_format_is_not_asked_who_calls_a_step() -> None:
    project = Project()
    who = project.authentication(OLD)
    assert who.asks
    assert not who.asks_callers
    assert (await who.know_caller(peer("t"))).context is None
    assert project.asked == []


async def test_a_token_given_in_band_leaves_the_one_of_the_address_nowhere() -> None:
    project = Project()
    who = project.authentication()
    asks = Peer("websocket", "/a?b=1&auth%54oken=s&c=2", "192.0.2.1", {})
    await who.know(replace(asks, given="t"))
    (asked,) = project.asked
    assert (asked.token, asked.url) == ("t", "/a?b=1&c=2")
