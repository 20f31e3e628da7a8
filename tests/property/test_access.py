"""Nobody ever receives a byte that the rules at that moment deny: random rules, tokens, ends, revocations and
reconnects, over the real gate, sessions, feeds and store, with a clock that moves by hand."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from hypothesis import event, given
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.model import GroupKey
from support.access_stage import AGE, AccessStage, Client, Context
from support.stream_store import turns
from support.v1_client import HandSocket

USERS, GROUPS, CLIENTS = ("ada", "bob"), ("red", "blue"), 3
BYTES_OF = re.compile(rb'"g":\["chat","(\w+)"\]')
"""What every item of a group holds."""


class Token(NamedTuple):
    """A token: whose, until when (None: for ever), when it was issued (None: it does not say)."""

    user: str
    expires: float | None
    issued: float | None

    @property
    def text(self) -> str:
        told = {"user": self.user, "exp": self.expires, "iat": self.issued}
        return orjson.dumps({name: value for name, value in told.items() if value is not None}).decode()


@dataclass
class World:
    """What is so, told in the plainest way."""

    rule: dict[tuple[str, str], bool]
    users: dict[str, tuple[float, float]] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    groups: set[tuple[str, str]] = field(default_factory=set)
    denied: list[tuple[str, tuple[Token, ...], float]] = field(default_factory=list)
    """What was sent and might not be: of which group, to whom, when."""

    def allows(self, token: Token, group: str, now: float) -> bool:
        at, until = self.users.get(token.user, (0.0, 0.0))
        revoked = now < until and (token.issued is None or token.issued < at)
        return (
            (token.expires is None or now < token.expires)
            and not revoked
            and now >= self.tokens.get(token.text, 0.0)
            and (token.user, group) not in self.groups
            and self.rule[token.user, group]
        )


class WatchedSocket(HandSocket):
    """A socket that judges every frame when it is given to it."""

    def __init__(self, world: World, stage: AccessStage, token: Token) -> None:
        super().__init__(10_000_000)
        self.world = world
        self.stage = stage
        self.given = [token]
        """The tokens that may be its client's now: one that was given in band counts once it was accepted."""
        self.received = 0

    def write(self, frames: bytes) -> None:
        now = self.stage.clock.now()
        for group in BYTES_OF.findall(frames):
            self.received += 1
            name = group.decode()
            if not any(self.world.allows(token, name, now) for token in self.given):
                self.world.denied.append((name, tuple(self.given), now))
        super().write(frames)


Act = tuple[Any, ...]
who = st.integers(0, CLIENTS - 1)
user, group = st.sampled_from(USERS), st.sampled_from(GROUPS)
lasts = st.sampled_from([None, None, 1.0, 5.0, 100.0])
issued = st.sampled_from([None, 0.0, -3.0])
acts = st.one_of(
    st.tuples(st.just("come"), who, user, lasts, issued, st.booleans()),
    st.tuples(st.just("follow"), who, group),
    st.tuples(st.just("follow"), who, group),
    st.tuples(st.just("write"), group),
    st.tuples(st.just("write"), group),
    st.tuples(st.just("auth"), who, user, lasts, issued),
    st.tuples(st.just("later"), st.sampled_from([0.5, 2.0, 10.0, AGE])),
    st.tuples(st.just("revoke group"), group, user),
    st.tuples(st.just("restore group"), group, user),
    st.tuples(st.just("revoke user"), user),
    st.tuples(st.just("restore user"), user),
    st.tuples(st.just("revoke connection"), who),
    st.tuples(st.just("leave"), who),
    st.tuples(st.just("wait")),
)


class Play:
    """Does one act after the other, and lets the loop run a little between them or not at all."""

    def __init__(self, rule: dict[tuple[str, str], bool], delays: list[int]) -> None:
        self.stage = AccessStage(cache=50.0)
        self.world = World(rule)
        self.clients: dict[int, tuple[Client, WatchedSocket]] = {}
        self.delays = delays
        self.asked = 0
        self.written = 0
        self.followed = 0
        self.received = 0
        self.stage.rule = self._rule

    async def _rule(self, group: GroupKey, _item: str | None, context: Context) -> bool:
        self.asked += 1
        await turns(self.delays[self.asked % len(self.delays)])
        return context is not None and self.world.rule[context["user"], group.group]

    def _token(self, user: str, lasts: float | None, issued: float | None) -> Token:
        now = self.stage.clock.now()
        return Token(user, lasts and now + lasts, None if issued is None else now + issued)

    async def do(self, act: Act) -> None:
        match act:
            case "come", number, user, lasts, issued, old:
                self._leave(number)
                token = self._token(user, lasts, issued)
                socket = WatchedSocket(self.world, self.stage, token)
                try:
                    client = await self.stage.come(token.text, old=old, socket=socket)
                except HeadwaterError:
                    return
                self.clients[number] = client, socket
            case "follow", number, group if number in self.clients:
                self._follow(*self.clients[number], group)
            case "write", group:
                self.written += 1
                await self.stage.set(f"item {self.written % 3}", GroupKey("chat", group), n=self.written)
            case "auth", number, user, lasts, issued if number in self.clients:
                client, socket = self.clients[number]
                token = self._token(user, lasts, issued)
                socket.given.append(token)
                client.session.message(orjson.dumps({"t": "auth", "ask": 1, "token": token.text}).decode())
            case "later", seconds:
                await self.stage.after(seconds)
            case "revoke group", group, user:
                await self.stage.revoking.group("chat", group, user)
                self.world.groups.add((user, group))
            case "restore group", group, user:
                self.world.groups.discard((user, group))
                await self.stage.revoking.restore_group("chat", group, user)
            case "revoke user", user:
                await self.stage.revoking.user(user)
                now = self.stage.clock.now()
                self.world.users[user] = now, now + AGE
            case "restore user", user:
                self.world.users.pop(user, None)
                await self.stage.revoking.restore_user(user)
            case "revoke connection", number if number in self.clients:
                await self._revoke(*self.clients[number])
            case "leave", number:
                self._leave(number)
            case "wait", *_:
                await turns(30)
            case _:
                pass

    async def _revoke(self, client: Client, socket: WatchedSocket) -> None:
        if socket.ended:
            return
        token = orjson.loads(client.session.peer.context or b"{}")
        number = self.stage.guests.number(client.session)
        await self.stage.revoking.connection(number)
        text = orjson.dumps(token).decode()
        until = self.stage.clock.now() + AGE
        self.world.tokens[text] = min(until, token.get("exp", until))

    def _follow(self, client: Client, socket: WatchedSocket, group: str) -> None:
        if socket.ended:
            return
        if client.session.__class__.__name__ == "V0Session":
            client.say(type="join", data={"streamName": "chat", "groupId": group, "subscriptionId": "1"})
        else:
            self.followed += 1
            client.follow(self.followed, group)

    def _leave(self, number: int) -> None:
        if number in self.clients:
            client, socket = self.clients.pop(number)
            self.received += socket.received
            if not socket.ended:
                socket.ended = True
                client.session.closed()

    async def end(self) -> None:
        for number in tuple(self.clients):
            self._leave(number)
        await turns(60)
        await self.stage.close()


@given(
    rule=st.fixed_dictionaries({(user, group): st.booleans() for user in USERS for group in GROUPS}),
    delays=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    first=st.lists(st.tuples(user, lasts, issued, st.booleans()), min_size=CLIENTS, max_size=CLIENTS),
    played=st.lists(st.tuples(acts, st.integers(0, 4)), min_size=5, max_size=40),
)
def test_nobody_receives_what_the_rules_deny_at_that_moment(
    rule: dict[tuple[str, str], bool],
    delays: list[int],
    first: list[tuple[str, float | None, float | None, bool]],
    played: list[tuple[Act, int]],
) -> None:
    async def play() -> int:
        stage = Play(rule, delays)
        begun: list[tuple[Act, int]] = [(("write", group), 1) for group in GROUPS]
        for number, token in enumerate(first):
            begun.append((("come", number, *token), 1))
            begun += [(("follow", number, group), 9) for group in GROUPS]
        for act, pause in [*begun, *played]:
            await stage.do(act)
            await turns(pause)
        await stage.end()
        assert stage.world.denied == []
        return stage.received

    received = asyncio.run(play())
    event("somebody received something" if received else "nobody received anything")


async def test_the_judge_sees_what_a_gate_lets_through() -> None:
    """The proof above can fail: with a gate that forgets revocations it does."""
    play = Play(dict.fromkeys([(user, group) for user in USERS for group in GROUPS], True), [0])
    await play.do(("come", 0, "ada", None, None, False))
    await play.do(("follow", 0, "red"))
    await turns(30)
    await play.do(("write", "red"))
    await turns(30)
    socket = play.clients[0][1]
    assert socket.received == 1
    play.world.groups.add(("ada", "red"))  # Revoked, and nobody was told.
    await play.do(("write", "red"))
    assert [group for group, *_ in play.world.denied] == ["red"]
    await play.end()
