"""The asynchronous client: a store of what was received, kept connected over a WebSocket.

Owns the connection, its retries and the waking of readers. What messages mean is the store's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Any, Literal, Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from headwater.client import given
from headwater.client.backoff import Backoff
from headwater.client.faults import CannotConnect, Refused, SubscriptionEnded, as_error
from headwater.client.reading import Changed, Changes, Event, Item, Reader
from headwater.client.refusals import STREAM_UNKNOWN
from headwater.client.renewal import Renewal
from headwater.client.socket import Silent, Socket, open_socket, socket_url
from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription
from headwater.client.writes import MOST_WRITES, MOST_WRITES_BYTES
from headwater.client.writing import Writing
from headwater.errors import InvalidInput

log = logging.getLogger("headwater.client")

Status = Literal["connecting", "live", "behind", "offline"]
Token = str | Callable[[], str | Awaitable[str]] | None

HEARTBEAT_SECONDS = 20.0
"""How long a server may be silent before it is asked for a sign of life, and then until it is given up."""
PAUSE_SECONDS = 1.0
"""How long a write waits that the server was too busy for."""


class Client(Writing):
    """A client of one server. Use `connect`."""

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        wait: float | None = 10.0,
        heartbeat: float = HEARTBEAT_SECONDS,
        backoff: Backoff | None = None,
        most_writes: int = MOST_WRITES,
        most_writes_bytes: int = MOST_WRITES_BYTES,
    ) -> None:
        if heartbeat <= 0:
            raise InvalidInput(f"heartbeat is in seconds, above 0, not {heartbeat}.")
        self._url = socket_url(url)
        self._token = token
        self._wait = wait
        self._heartbeat = heartbeat
        self._backoff = backoff or Backoff()
        self._store = ClientStore(
            self._told,
            renew=self._renew,
            pause=self._pause,
            most_writes=most_writes,
            most_writes_bytes=most_writes_bytes,
        )
        self._renewal = Renewal(self.auth, self._stale)
        self._readers: dict[Subscription, Reader] = {}
        self._outgoing = asyncio.Event()
        self._up = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self.awaits_streams = True
        """Whether a stream that is not there is waited for; if not, whoever follows it is told."""
        self._phase: Literal["connecting", "open", "offline"] = "connecting"
        self.reason = ""
        """Why it does not."""

    @property
    def status(self) -> Status:
        """`live`: what is read is the server's state. `behind`: connected, and catching up. `connecting`: an
        attempt is under way. `offline`: there is no connection; the next attempt comes by itself."""
        if self._phase != "open":
            return self._phase
        return "live" if self._store.live else "behind"

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        try:
            if self._wait is not None:
                async with asyncio.timeout(self._wait):
                    await self._up.wait()
        except BaseException as fault:
            reason = self.reason or "no answer"
            await self.close()
            if not isinstance(fault, TimeoutError):
                raise
            raise CannotConnect(
                f"No connection to {self._url} in {self._wait} seconds: {reason}",
                hint="Is the server running? wait=None retries for ever.",
            ) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection and everything that reads from it: each `async for` ends."""
        self._closed = True
        self._phase, self.reason = "offline", "closed"
        self._store.gone("The client was closed before the server answered.", ends=True)
        for reader in self._readers.values():
            reader.woken.set()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait(
                [running]
            )  # Not awaited itself: who cancels the one that closes must be heard.

    async def group(
        self, stream: str, group: str, *, limit: int | None = None, state: Item | None = None
    ) -> AsyncGenerator[list[Item]]:
        """The items of a group in creation order, now and after each change. A slow reader gets the latest
        state. `limit` makes it a window of the newest items; who gives a `state` is present in the group for
        as long as it reads, where the stream has presence.

        :raises InvalidInput: a name, the limit or the state is none.
        :raises SubscriptionEnded: the server refused it, or took it away.
        """
        async for subscription in self._states(stream, group, None, limit, state):
            yield subscription.state.items()

    async def item(self, stream: str, group: str, item: str) -> AsyncGenerator[Item | None]:
        """One item, now and after each change; None while there is none.

        :raises SubscriptionEnded: the server refused it, or took it away.
        """
        async for subscription in self._states(stream, group, item):
            yield next(iter(subscription.state.items()), None)

    async def changes(self, stream: str, group: str) -> AsyncGenerator[Changed]:
        """What becomes of the items of a group, from what it holds at first (as creates) on, in order.

        :raises SubscriptionEnded: the server refused it, or took it away.
        """
        async with self._reading(stream, group, None) as (_, reader):
            changes = reader.changes = Changes()
            while await self._next(reader):
                while changes.waiting:
                    yield changes.take()

    async def events(self, stream: str, group: str, item: str | None = None) -> AsyncGenerator[Event]:
        """The ephemeral events of a group or an item.

        :raises SubscriptionEnded: the server refused it, or took it away.
        """
        async with self._reading(stream, group, item) as (_, reader):
            while await self._next(reader):
                while reader.events:
                    yield reader.events.popleft()

    async def cancel(self, stream: str, group: str, item: str) -> None:
        """Stop the run that has claimed an item. The server has accepted it when this returns; the run may
        take a while to end, and says so in the item.

        :raises InvalidInput: a name is none.
        :raises Refused: `details["reason"]` is "RUN_UNKNOWN" where nothing that has not ended has claimed
            the item, "STREAM_ACCESS_DENIED" where it may not be read, "OFFLINE" where nobody could be asked.
        """
        answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()

        def settle(error: dict[str, Any] | None) -> None:
            if not answer.done():
                answer.set_result(error)

        group, item = given.name("group", group), given.name("id", item)
        followed = self._store.following(stream, group, item)
        subscription = followed or self._store.subscribe(stream, group, item)
        try:
            self._store.cancel(subscription, item, settle)
            self._outgoing.set()
            refusal = await answer
        finally:
            if followed is None:
                self._store.unsubscribe(subscription)
                self._outgoing.set()
        if refusal is not None:
            # Where the subscription was refused meanwhile, that is why.
            raise as_error(Refused, subscription.error or refusal)

    def version_of(self, stream: str, group: str, item: str) -> int:
        """The version of an item that this client follows, for `if_version`; 0 where it is not there, or not
        followed."""
        followed = self._store.following(stream, given.name("group", group), given.name("id", item))
        held = followed and followed.state.held.get(item)
        return held.version if held else 0

    async def auth(self, token: Token = None) -> None:
        """Say anew who asks: by that token, or by what the token function answers now. Without a connection
        the next one says it.

        :raises Refused: `details["reason"]` is "UNAUTHENTICATED" or "AUTH_UNAVAILABLE"; who asks stays who it
            was.
        """
        if token is not None:
            self._token = token
        text = await self._ask_token()
        if self._phase == "open" and text is not None:
            answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
            self._store.auth(text, lambda error: None if answer.done() else answer.set_result(error))
            self._outgoing.set()
            refusal = await answer
            self._outgoing.set()
            if refusal is not None and self._phase == "open":
                raise as_error(Refused, refusal)

    def _epoch(self) -> str:
        return self._store.epoch

    async def _ask(self, message: dict[str, Any], *, waits: bool) -> int:
        answer: asyncio.Future[tuple[dict[str, Any] | None, int]] = asyncio.get_running_loop().create_future()

        def written(error: dict[str, Any] | None, version: int) -> None:
            if not answer.done():
                answer.set_result((error, version))

        self._store.write(message, waits=waits, written=written)
        self._outgoing.set()
        if self._phase == "offline":
            self._store.gone(f"There is no connection to the server: {self.reason}", ends=self._closed)
        try:
            refusal, version = await answer
        finally:
            self._store.withdraw(message)
        if refusal is not None:
            raise as_error(Refused, refusal)
        return version

    def _renew(self) -> bool:
        """Whether another token will be asked for: it is, now."""
        if not callable(self._token):
            return False
        self._renewal.begin()
        return True

    def _stale(self, reason: str) -> None:
        log.warning("There is no other token for %s: %s", self._url, reason)
        self._store.stale(reason)

    def _pause(self) -> None:
        def go_on() -> None:
            self._store.go_on()
            self._outgoing.set()

        asyncio.get_running_loop().call_later(PAUSE_SECONDS, go_on)

    async def _states(
        self, stream: str, group: str, item: str | None, limit: int | None = None, state: Item | None = None
    ) -> AsyncGenerator[Subscription]:
        async with self._reading(stream, group, item, limit, state) as (subscription, reader):
            while await self._next(reader):
                if reader.fresh:
                    reader.fresh = False
                    yield subscription

    @contextlib.asynccontextmanager
    async def _reading(
        self, stream: str, group: str, item: str | None, limit: int | None = None, state: Item | None = None
    ) -> AsyncGenerator[tuple[Subscription, Reader]]:
        subscription = self._store.subscribe(stream, group, item, limit=limit, state=state)
        reader = self._readers[subscription] = Reader()
        if subscription.error is not None:
            reader.error = subscription.error
            reader.woken.set()
        self._outgoing.set()
        try:
            yield subscription, reader
        finally:
            del self._readers[subscription]
            self._store.unsubscribe(subscription)
            self._outgoing.set()

    async def _next(self, reader: Reader) -> bool:
        """Wait for something to read. False when the client was closed."""
        if not self._closed:
            await reader.woken.wait()
        reader.woken.clear()
        if reader.error is not None:
            raise as_error(SubscriptionEnded, reader.error)
        return not self._closed

    def _told(self, subscription: Subscription, what: str, value: Any) -> None:
        reader = self._readers.get(subscription)
        if reader is None:
            return
        if what == "state":
            reader.fresh = True
            if reader.changes is not None:
                reader.changes.note(subscription, value)
        elif what == "event":
            reader.events.append(Event(value["type"], value.get("data")))
        elif what == "error" and subscription.error is not None:
            if self.awaits_streams and subscription.error["code"] == STREAM_UNKNOWN:
                log.warning("%s It is followed once it is there.", subscription.error["message"])
                return
            reader.error = subscription.error
        reader.woken.set()

    async def _run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            self._phase = "connecting"
            try:
                await self._connection()
                self.reason = "the server closed the connection"
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, Silent) as error:
                self.reason = str(error) or type(error).__name__
            except Exception as error:  # Of the token's function, or a message that is none: readers wait on.
                log.exception("A connection to %s failed; it is tried again", self._url)
                self.reason = f"{type(error).__name__}: {error}"
            self._phase = "offline"
            self._store.gone(f"There is no connection to the server: {self.reason}")
            await asyncio.sleep(self._backoff.wait())

    async def _connection(self) -> None:
        async with open_socket(self._url, await self._ask_token()) as socket:
            self._store.connected()
            self._outgoing.set()
            self._phase, self.reason = "open", ""
            self._up.set()
            parts = [self._receive(socket), self._send(socket), socket.watch(self._heartbeat)]
            tasks = [asyncio.create_task(part) for part in parts]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            except Silent:
                socket.transport.abort()  # Nobody would answer a close.
                raise
            finally:
                self._renewal.end()
                self._store.disconnected()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_token(self) -> str | None:
        asked = self._token() if callable(self._token) else self._token
        return await asked if inspect.isawaitable(asked) else asked

    async def _receive(self, socket: Socket) -> None:
        async for message in socket:
            self._store.received(message)
            self._backoff.begin_anew()
            if self._store.outbox:
                self._outgoing.set()

    async def _send(self, socket: Socket) -> None:
        while True:
            await self._outgoing.wait()
            self._outgoing.clear()
            while self._store.outbox:
                await socket.send(self._store.outbox.pop(0))


def connect(
    url: str,
    *,
    token: Token = None,
    wait: float | None = 10.0,
    heartbeat: float = HEARTBEAT_SECONDS,
    most_writes: int = MOST_WRITES,
    most_writes_bytes: int = MOST_WRITES_BYTES,
) -> Client:
    """A client of the server at `url` (http, https, ws or wss), to be used as `async with connect(url) as
    client`.

    `token` is a text, or a function (it may be async) that is asked before each connect, and whenever the
    token before ends; what that has ended goes on then. Entering waits up to
    `wait` seconds for the first connection (None: not at all); after that the client reconnects for ever, and
    resumes. A server that is silent for `heartbeat` seconds is asked for a sign of life, and given up where
    it is silent for as long again.

    :raises InvalidInput: `url` is no address of a server, or `heartbeat` not above 0.
    :raises CannotConnect: (on entering) there was no connection in that time.
    """
    return Client(
        url,
        token=token,
        wait=wait,
        heartbeat=heartbeat,
        most_writes=most_writes,
        most_writes_bytes=most_writes_bytes,
    )
