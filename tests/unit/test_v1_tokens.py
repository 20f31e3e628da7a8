"""Tokens that end in the middle of a connection, and those that are given in band."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable

import pytest

from headwater.model import GroupKey
from support.access_stage import AccessStage, Context
from support.stream_store import turns

ADA, BOB = GroupKey("chat", "ada"), GroupKey("chat", "bob")


@pytest.fixture
async def stage() -> AsyncGenerator[AccessStage]:
    stage = AccessStage()
    yield stage
    await stage.close()


async def test_a_client_is_told_before_and_its_subscriptions_end_with_the_token(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada", 300))
    client.follow(1, "ada", state={"name": "Ada"})
    client.follow(2, "g", "news")
    await turns()
    client.told()

    await stage.after(240)
    assert client.told() == [{"t": "expiring", "in": 60.0}]
    await stage.after(60)
    ended = client.told()
    assert [(one["t"], one["code"], one["sub"], one["ended"]) for one in ended] == [
        ("error", "TOKEN_EXPIRED", 1, True),
        ("error", "TOKEN_EXPIRED", 2, True),
    ]
    await stage.set("a", ADA)
    await stage.set("a", GroupKey("news", "g"))
    assert client.told() == []
    who = await stage.fleeting.store.window(
        GroupKey("chat.presence", "ada"), before=None, limit=9, limit_bytes=9999
    )
    assert who.items == []


async def test_whoever_has_expired_is_refused_whatever_it_asks_until_it_gives_another_token(
    stage: AccessStage,
) -> None:
    client = await stage.come(stage.token("ada", 10))
    client.follow(1, "ada")
    await turns()
    await stage.after(10)
    client.told()
    client.follow(2, "g", "news")
    client.say(t="cancel", sub=1, id="a", ask=5)
    await turns()
    assert [one["code"] for one in client.told()] == ["TOKEN_EXPIRED", "INVALID_INPUT"]

    client.say(t="auth", ask=6, token=stage.token("ada", 10))
    await turns()
    client.follow(1, "ada")
    await turns()
    assert [one["t"] for one in client.told()] == ["ok", "subscribed", "complete"]
    await stage.after(5)
    assert client.told() == [{"t": "expiring", "in": 5.0}]


async def test_a_question_that_is_open_when_the_token_ends_is_refused(stage: AccessStage) -> None:
    stage.rule, answered = _held_rule()
    client = await stage.come(stage.token("ada", 10))
    client.follow(1, "ada")
    client.follow(2, "ada")
    await turns()
    client.say(t="unsub", sub=2)
    await stage.after(10)
    assert [(one["sub"], one["code"]) for one in client.told("error")] == [(1, "TOKEN_EXPIRED")]
    answered.set()
    await turns()
    assert client.told() == []


async def test_a_token_given_in_band_goes_on_with_no_frame_lost(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada", 100))
    client.follow(1, "ada")
    await turns()
    client.told()
    client.say(t="auth", ask=7, token=stage.token("ada", 1000))
    await stage.set("a", ADA)
    await turns()
    assert sorted(one["t"] for one in client.told()) == ["ok", "set"]
    assert stage.asked[-1].token == stage.asked[-1].headers["authorization"].removeprefix("Bearer ")
    await stage.after(500)
    await stage.set("b", ADA)
    assert [one["t"] for one in client.told()] == ["set"]


async def test_what_the_new_one_may_not_follow_is_taken_away(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada"))
    client.follow(1, "ada")
    client.follow(2, "g", "news")
    await turns()
    client.told()
    client.say(t="auth", ask=7, token=stage.token("bob"))
    await turns()
    assert [(one["t"], one.get("sub"), one.get("code")) for one in client.told()] == [
        ("revoked", 1, "REVOKED"),
        ("ok", None, None),
    ]
    await stage.set("a", ADA)
    await stage.set("a", GroupKey("news", "g"))
    assert [one["t"] for one in client.told()] == ["set"]
    client.follow(1, "bob")
    await turns()
    assert [one["t"] for one in client.told()] == ["subscribed", "complete"]
    assert (stage.guests.of("ada"), stage.guests.of("bob")) == ((), (client.session,))


async def test_nobody_is_sent_what_is_not_for_the_new_one_while_rules_are_asked(stage: AccessStage) -> None:
    """The old one's subscriptions live on until it is the new one, and end in the same turn."""
    client = await stage.come(stage.token("ada"))
    client.follow(1, "ada")
    await turns()
    stage.rule, answered = _held_rule()
    client.say(t="auth", ask=7, token=stage.token("bob"))
    await turns()
    client.follow(2, "ada")
    client.follow(3, "bob")
    await turns()
    client.told()
    answered.set()
    await turns(30)
    assert [(one["t"], one.get("sub")) for one in client.told("revoked", "error", "ok", "subscribed")] == [
        ("subscribed", 2),
        ("error", 3),
        ("revoked", 1),
        ("revoked", 2),
        ("ok", None),
    ]


@pytest.mark.parametrize(
    ("token", "code"), [("guessed", "UNAUTHENTICATED"), ('{"user":"ada","exp":1}', "TOKEN_EXPIRED")]
)
async def test_one_that_is_refused_changes_nothing(stage: AccessStage, token: str, code: str) -> None:
    client = await stage.come(stage.token("ada", 100))
    client.follow(1, "ada")
    await turns()
    client.told()
    client.say(t="auth", ask=7, token=token)
    await turns()
    (refusal,) = client.told()
    assert (refusal["ask"], refusal["code"]) == (7, code)
    await stage.set("a", ADA)
    assert [one["t"] for one in client.told()] == ["set"]
    await stage.after(100)
    assert [one["code"] for one in client.told("error")] == ["TOKEN_EXPIRED"]


async def test_tokens_of_one_client_are_looked_at_one_after_the_other(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada"))
    stage.held = asyncio.Event()
    for ask in (1, 2):
        client.say(t="auth", ask=ask, token=stage.token("ada"))
    await turns()
    assert [(one["ask"], one["code"]) for one in client.told()] == [(2, "TOO_MANY")]
    client.session.closed()
    stage.held.set()
    await turns()
    assert client.told() == []


async def test_a_socket_of_the_old_protocol_is_closed(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada", 100), old=True)
    await stage.after(99)
    assert client.socket.closed is None
    await stage.after(1)
    assert client.socket.closed == (1008, "the token has expired")


async def test_a_token_that_has_ended_opens_nothing(stage: AccessStage) -> None:
    assert await stage.refused(stage.token("ada", -1)) == "TOKEN_EXPIRED"
    assert await stage.refused(stage.token("ada", 0)) == "TOKEN_EXPIRED"
    assert await stage.refused(stage.token("ada", 1)) == ""


def _held_rule() -> tuple[object, asyncio.Event]:
    """The rule that a group is its user's, which answers once the event is set."""
    answered = asyncio.Event()

    def rule(group: GroupKey, _item: str | None, context: Context) -> Awaitable[bool]:
        async def answer() -> bool:
            await answered.wait()
            return context is not None and context["user"] == group.group

        return answer()

    return rule, answered


async def test_where_the_project_says_nothing_of_who_asks_any_token_is_taken_and_changes_nothing(
    stage: AccessStage,
) -> None:
    stage.who.take(None)
    client = await stage.come(None)
    client.follow(1, "g", "news")
    await turns()
    client.told()
    client.say(t="auth", ask=2, token="whatever")
    await turns()
    assert client.told() == [{"t": "ok", "ask": 2}]
    assert (client.session.peer.identity, client.session.peer.context) == (None, None)
    assert stage.asked == []
