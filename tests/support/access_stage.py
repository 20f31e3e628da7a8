"""The streams of one process, who asks for them and until when, put together as the server does, with a clock
that moves only by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from headwater.clock import Stamps
from headwater.config import AuthSettings, ServerSettings
from headwater.errors import HeadwaterError
from headwater.model import GroupKey
from headwater.peer import Peer
from headwater.protocol.clients.v0 import V0Wire
from headwater.server.http.authentication import Authentication
from headwater.server.http.origins import Origins
from headwater.server.live.attendance import Attendance
from headwater.server.live.gate import StreamGate
from headwater.server.live.lapses import Lapses
from headwater.server.live.revoking import Revoking
from headwater.server.live.session import Session
from headwater.server.live.session_v0 import V0Session
from headwater.server.live.session_v1 import V1Session
from headwater.steps.project.declare import Authenticator
from headwater.steps.project.triggers.authenticate import AuthQuestion
from headwater.streams.catalog import Rights
from headwater.streams.revocations import Revocations
from support.stream_store import turns
from support.v1_client import HandSocket
from support.v1_stage import V1Stage

Context = Mapping[str, Any] | None
Rule = Callable[[GroupKey, str | None, Context], bool | Awaitable[bool]]

AGE = 86_400.0
"""Seconds for which users and tokens stay revoked."""

LEAD = 60.0
"""Seconds before the end at which clients are told."""


def own_group(group: GroupKey, _item: str | None, context: Context) -> bool:
    """A group is its user's alone."""
    return context is not None and context.get("user") == group.group


class Client:
    """A client of a hand-made socket: what it says, and what it was told."""

    def __init__(self, socket: HandSocket, session: Session) -> None:
        self.socket = socket
        self.session = session

    def say(self, **message: Any) -> None:
        self.session.message(orjson.dumps(message).decode())

    def follow(self, sub: int, group: str, stream: str = "chat", **more: Any) -> None:
        self.say(t="sub", sub=sub, stream=stream, group=group, **more)

    def told(self, *kinds: str) -> list[dict[str, Any]]:
        """What came since it was asked last, or of that only these kinds."""
        messages = [orjson.loads(one) for one in self.socket.read(len(self.socket.waiting))]
        return [one for one in messages if not kinds or one.get("t") in kinds]


class AccessStage(V1Stage):
    """A V1Stage with an authenticator to which a token is the JSON text of its context, and with one rule for
    the stream `chat`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(gate=None)
        self.rule: Rule = own_group
        self.asked: list[AuthQuestion] = []
        self.held: asyncio.Event | None = None
        """What authenticate waits for."""
        self.declare(rights=Rights(read="rule", cancel="open"))
        self.revocations = self.made_again()
        self.gate = StreamGate(self.catalog, self._access, self.observer, self._denies)
        auth = AuthSettings(expiring=LEAD, **settings)
        self.who = Authentication(
            self._authenticate,
            auth,
            Origins(ServerSettings()),
            self.clock.monotonic,
            self.clock.now,
            self._refuses,
        )
        self.who.take(Authenticator("headwater_auth.py", "python"))
        self.lapses = Lapses(self.clock, LEAD)
        self.guests = Attendance(self.lapses, self.who)
        self.revoking = Revoking(self.revocations, self.guests, self.who, lambda: self.here)
        self.here: list[Any] = []
        self.v0 = V0Wire(Stamps(self.clock))

    def made_again(self, most: int = 100) -> Revocations:
        """The revocations of this store, of which nothing is read yet."""
        parts = self.catalog, self.store, self.durable.queue, self.clock
        return Revocations(*parts, age=AGE, most=most)

    def _denies(self, stream: str, group: str, user: str | None) -> bool:
        return self.revocations.denies(stream, group, user)

    def _refuses(self, user: str | None, issued: float | None, token: str | None) -> bool:
        return self.revocations.refuses(user, issued, token)

    async def _authenticate(self, asked: AuthQuestion) -> bytes | None:
        self.asked.append(asked)
        if self.held is not None:
            await self.held.wait()
        token = asked.token or ""
        return token.encode() if token.startswith("{") else None

    async def _access(
        self,
        stream: str,
        group: str,
        item: str | None,
        context: bytes | None,
        *_: Any,
    ) -> bool:
        answer = self.rule(GroupKey(stream, group), item, context and orjson.loads(context))
        return answer if isinstance(answer, bool) else await answer

    def token(self, user: str, lasts: float | None = None, **more: Any) -> str:
        """A token of a user that lasts so many seconds."""
        ends = {} if lasts is None else {"exp": self.clock.now() + lasts}
        return orjson.dumps({"user": user, **ends, **more}).decode()

    async def come(self, token: str | None, *, old: bool = False, socket: HandSocket | None = None) -> Client:
        """A client that has opened a socket with a token.

        :raises HeadwaterError: the token is refused.
        """
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        peer = await self.who.know(Peer("websocket", "/", "192.0.2.1", headers))
        socket = socket or HandSocket(1_000_000)
        socket.session = self._session(socket, peer, old=old)
        client = Client(socket, socket.session)
        self.here.append(socket.session)
        client.told()
        return client

    def _session(self, socket: HandSocket, peer: Peer, *, old: bool) -> Session:
        limits = self.settings.socket
        if old:
            hub_of = self.realms.hub_of
            return V0Session(socket, self.v0, hub_of, self.gate, limits, peer, guests=self.guests)
        streams, cancel = self.streams, self.runs.cancel_item
        return V1Session(socket, streams, self.presence, self.gate, limits, peer, cancel, guests=self.guests)

    async def after(self, seconds: float) -> None:
        """So much time passes, and what is due is done."""
        self.clock.time += seconds
        self.clock.ran += seconds
        self.lapses.look()
        await turns()

    async def refused(self, token: str | None) -> str:
        """The code by which a token is refused; empty where it is not."""
        try:
            (await self.come(token)).session.closed()
        except HeadwaterError as error:
            return error.code
        return ""
