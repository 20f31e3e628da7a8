"""What is taken away from users, from tokens and from users of a group, and from whoever is here as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from headwater.errors import InvalidInput, TooMany, UnknownStream
from headwater.model import GroupKey
from headwater.peer import Peer
from headwater.protocol.clients.wire import Wish
from headwater.server.live.sse import Unsent, Visit
from support.access_stage import AGE, AccessStage, Client
from support.ear import Ear
from support.stream_store import turns

ADA = GroupKey("chat", "ada")


@pytest.fixture
async def stage() -> AsyncGenerator[AccessStage]:
    stage = AccessStage(cache=1000.0)
    yield stage
    await stage.close()


async def follower(stage: AccessStage, group: str = "ada", *, old: bool = False) -> Client:
    """A client of ada's that follows a group of `chat` and the open `news`."""
    client = await stage.come(stage.token("ada"), old=old)
    if old:
        for stream, name in (("chat", group), ("news", "g")):
            client.say(type="join", data={"streamName": stream, "groupId": name, "subscriptionId": "1"})
    else:
        client.follow(1, group, state={"name": "Ada"})
        client.follow(2, "g", "news")
    await turns()
    client.told()
    return client


# --- a group ---


async def test_what_a_user_follows_of_a_group_ends_and_the_rest_goes_on(stage: AccessStage) -> None:
    client, other = await follower(stage), await follower(stage)
    client.follow(3, "ada", "chat.presence")
    await turns()
    client.told()
    await stage.revoking.group("chat", "ada", "ada")
    assert [(one["t"], one["sub"], one["code"]) for one in client.told("revoked")] == [
        ("revoked", 1, "REVOKED"),
        ("revoked", 3, "REVOKED"),
    ]
    assert [one["sub"] for one in other.told("revoked")] == [1]
    await stage.set("a", ADA)
    await stage.set("a", GroupKey("news", "g"))
    assert [one["t"] for one in client.told()] == ["set"]
    present = await stage.fleeting.store.window(
        GroupKey("chat.presence", "ada"), before=None, limit=9, limit_bytes=9999
    )
    assert present.items == []


async def test_it_is_refused_every_verb_there_until_it_is_restored(stage: AccessStage) -> None:
    client = await follower(stage)
    client.say(t="sub", sub=9, stream="chat", group="ada", id="a")
    await turns()
    await stage.revoking.group("chat", "ada", "ada")
    client.told()
    for message in ({"id": "a"}, {}, {"stream": "chat.presence"}):
        client.say(t="sub", sub=5, **{"stream": "chat", "group": "ada"} | message)
        await turns()
        assert [one["code"] for one in client.told()] == ["STREAM_ACCESS_DENIED"]
    await stage.revoking.restore_group("chat", "ada", "ada")
    client.follow(6, "ada")
    await turns()
    assert [one["t"] for one in client.told()] == ["subscribed", "complete"]


async def test_the_right_to_cancel_goes_with_it(stage: AccessStage) -> None:
    stage.runs.claimed.add((GroupKey("news", "g"), "a"))
    client = await follower(stage)
    client.say(t="cancel", sub=2, id="a", ask=1)
    await turns()
    assert [one["t"] for one in client.told()] == ["ok"]
    await stage.revocations.revoke("news", "g", "ada")  # As if the subscription had not ended yet.
    client.say(t="cancel", sub=2, id="a", ask=2)
    await turns()
    assert [one["code"] for one in client.told()] == ["STREAM_ACCESS_DENIED"]


async def test_an_old_client_is_told_in_its_words(stage: AccessStage) -> None:
    client = await follower(stage, old=True)
    await stage.revoking.group("chat", "ada", "ada")
    (told,) = client.told()
    assert told["groupId"] == "ada"
    assert told["event"]["event"]["data"]["code"] == "REVOKED"
    await stage.set("a", ADA)
    assert client.told() == []


async def test_a_question_that_is_open_when_it_is_revoked_is_refused(stage: AccessStage) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def rule(*_: object) -> bool:
        asked.set()
        await answer.wait()
        return True

    stage.rule = rule
    client = await stage.come(stage.token("ada"))
    client.follow(1, "ada")
    await asked.wait()
    await stage.revoking.group("chat", "ada", "ada")
    answer.set()
    await turns()
    assert [one["code"] for one in client.told()] == ["STREAM_ACCESS_DENIED"]


async def test_a_token_given_while_it_is_revoked_brings_nothing_back(stage: AccessStage) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()
    client = await stage.come(stage.token("bob"))
    stage.rule = lambda *_: True
    client.follow(1, "ada")
    await turns()

    async def rule(*_: object) -> bool:
        asked.set()
        await answer.wait()
        return True

    stage.rule = rule
    client.told()
    client.say(t="auth", ask=1, token=stage.token("ada"))
    await asked.wait()
    await stage.revoking.group("chat", "ada", "ada")
    answer.set()
    await turns(30)
    assert [one["t"] for one in client.told()] == ["revoked", "ok"]


# --- a user ---


async def test_a_users_connections_end_and_its_older_tokens_are_refused(stage: AccessStage) -> None:
    now = stage.clock.now()
    clients = [await follower(stage), await follower(stage, old=True)]
    bob = await stage.come(stage.token("bob"))
    assert await stage.revoking.user("ada") == 2
    assert [client.socket.closed and client.socket.closed[0] for client in clients] == [1012, 1012]
    assert bob.socket.closed is None

    for token in (stage.token("ada"), stage.token("ada", iat=now - 1), stage.token("ada", iat=now - 0.001)):
        assert await stage.refused(token) == "UNAUTHENTICATED"
    assert await stage.refused(stage.token("ada", iat=now)) == ""
    assert await stage.refused(stage.token("bob")) == ""

    assert await stage.revoking.restore_user("ada")
    assert not await stage.revoking.restore_user("ada")
    assert await stage.refused(stage.token("ada")) == ""


async def test_a_user_that_is_revoked_while_it_comes_does_not(stage: AccessStage) -> None:
    stage.held = asyncio.Event()
    coming = asyncio.create_task(stage.refused(stage.token("ada")))
    await turns()
    await stage.revoking.user("ada")
    stage.held.set()
    assert await coming == "UNAUTHENTICATED"


async def test_users_and_tokens_stay_revoked_for_as_long_as_the_setting_says(stage: AccessStage) -> None:
    await stage.revoking.user("ada")
    await stage.after(AGE - 1)
    assert await stage.refused(stage.token("ada")) == "UNAUTHENTICATED"
    await stage.after(1)
    assert await stage.refused(stage.token("ada")) == ""


# --- a connection ---


async def test_a_connection_ends_and_its_token_is_refused_everywhere(stage: AccessStage) -> None:
    one, same = await follower(stage), await follower(stage)
    other = await stage.come(stage.token("ada", iat=1))
    listed = list(stage.revoking.connections("ada"))
    assert [each["user"] for each in listed] == ["ada"] * 3
    number = stage.guests.number(one.session)
    assert await stage.revoking.connection(number)
    assert [client.socket.closed is not None for client in (one, same, other)] == [True, True, False]
    assert await stage.refused(stage.token("ada")) == "UNAUTHENTICATED"
    assert await stage.refused(stage.token("ada", iat=1)) == ""
    with pytest.raises(InvalidInput, match="no connection"):
        await stage.revoking.connection(number)


async def test_a_token_is_forgotten_when_it_has_expired(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada", 100))
    await stage.revoking.connection(stage.guests.number(client.session))
    await stage.after(101)
    again = stage.made_again(most=1)
    await again.read()
    await again.revoke_user("bob")
    assert len(again) == 1


async def test_one_without_a_token_only_ends(stage: AccessStage) -> None:
    client = await stage.come(None)
    assert not await stage.revoking.connection(stage.guests.number(client.session))
    assert client.socket.closed is not None
    assert await stage.refused(None) == ""


async def test_one_that_gave_a_token_in_band_is_known_by_that(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada"))
    client.say(t="auth", ask=1, token=stage.token("ada", iat=7))
    await turns()
    await stage.revoking.connection(stage.guests.number(client.session))
    assert await stage.refused(stage.token("ada", iat=7)) == "UNAUTHENTICATED"
    assert await stage.refused(stage.token("ada")) == ""


# --- all of them ---


async def test_all_is_kept_over_a_restart(stage: AccessStage) -> None:
    client = await stage.come(stage.token("cay"))
    await stage.revoking.group("chat", "ada", "ada")
    await stage.revoking.group("chat", "x", "ada")
    await stage.revoking.restore_group("chat", "x", "ada")
    await stage.revoking.user("bob")
    await stage.revoking.connection(stage.guests.number(client.session))
    stage.revocations = stage.made_again()
    assert await stage.refused(stage.token("bob")) == "", "nothing is read yet"
    await stage.revocations.read()
    assert len(stage.revocations) == 3
    assert await stage.refused(stage.token("bob")) == "UNAUTHENTICATED"
    assert await stage.refused(stage.token("cay")) == "UNAUTHENTICATED"
    assert stage.revocations.denies("chat", "ada", "ada")
    assert not stage.revocations.denies("chat", "x", "ada")
    assert not stage.revocations.denies("chat", "ada", None)


async def test_no_more_is_revoked_than_the_setting_says(stage: AccessStage) -> None:
    revocations = stage.made_again(most=2)
    await revocations.revoke("chat", "g", "ada")
    await revocations.revoke("chat", "g", "ada")
    await revocations.revoke_user("ada")
    for one in (revocations.revoke("chat", "h", "ada"), revocations.revoke_user("bob")):
        with pytest.raises(TooMany) as refused:
            await one
        assert refused.value.limit is not None
    await stage.after(AGE)
    await revocations.revoke_user("bob")


async def test_what_is_no_name_is_refused(stage: AccessStage) -> None:
    with pytest.raises(UnknownStream):
        await stage.revocations.revoke("nothing", "g", "ada")
    for group, user in (("", "ada"), ("g", ""), ("g", "x" * 1025)):
        with pytest.raises(InvalidInput):
            await stage.revocations.revoke("chat", group, user)
    with pytest.raises(InvalidInput):
        await stage.revocations.revoke_user("")


async def test_nobody_follows_what_is_revoked(stage: AccessStage) -> None:
    client = await stage.come(stage.token("ada"))
    client.follow(1, "users", "headwater.revocations")
    await turns()
    assert [one["code"] for one in client.told()] == ["STREAM_UNKNOWN"]


async def test_an_event_stream_that_is_taken_away_is_told_the_operator_too(stage: AccessStage) -> None:
    ear, unsent = Ear(), Unsent(1000)
    peer = Peer("sse", identity="ada")
    visit = Visit(peer, unsent, stage.streams.wire_of("chat"), Wish(ADA, None), ear)
    visit.revoked(GroupKey("news", "g"))
    assert not unsent.ended
    visit.revoked(ADA)
    assert b'"code":"REVOKED"' in await unsent.take()
    assert [error.code for _, error in ear.of("refused")] == ["REVOKED"]
