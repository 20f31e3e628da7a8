"""A client library behind standard input and output, so that language-neutral scenarios can drive it.

`python -m headwater.testing.driver` reads one JSON command a line and answers each with one JSON line. A
library of another language brings a program that does the same. Commands (`client` and `as` are names of the
caller's choice):

- `{"do": "connect", "client", "url"}`, `{"do": "cut", "client"}` (drop the connection without a word),
  `{"do": "stall", "client"}` and `{"do": "unstall", "client"}` (stop and go on reading the socket).
- `{"do": "subscribe", "client", "as", "stream", "group", "id"?, "limit"?, "state"?, "events"}`; `events` are
  types, for a library that hears only those which it listens for.
- `{"do": "unsubscribe", "client", "as"}`, `{"do": "more", "client", "as", "limit"}`, `{"do": "state",
  "client", "as", "state"}`.
- `{"do": "cancel", "client", "as", "id"?}`: cancel the run that has claimed an item; it is not waited for.
- `{"do": "look", "client", "as"}` answers `{"live", "items", "version", "floor", "events", "error",
  "answers", "bytes", "resets", "faults"}`: what the subscription holds (`items` null before the first whole
  state), ephemeral events so far, why it ended, what its cancels were answered with so far ("ok" or a code),
  bytes received on the connection, how often it was told to start over, and what the driver saw that no
  client may see (a version that did not increase).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription
from headwater.protocol.clients.v1 import SUBPROTOCOL


class Seen:
    """What one subscription was told."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.whole = False
        self.version = 0
        self.events: list[Any] = []
        self.answers: list[str] = []
        self.resets = 0
        self.faults: list[str] = []

    def told(self, what: str, value: Any) -> None:
        """One thing that a reader may see."""
        state = self.subscription.state
        if what == "event":
            self.events.append(value)
        elif what == "reset":
            self.resets += 1
            self.version = 0
        elif what == "state":
            if self.whole and state.version < self.version:
                self.faults.append(f"version {state.version} after {self.version}")
            self.whole, self.version = True, state.version

    def answered(self, error: dict[str, Any] | None) -> None:
        """The answer to a cancel."""
        self.answers.append("ok" if error is None else error["code"])

    def look(self) -> dict[str, Any]:
        """The answer to `look`, but for the connection's own."""
        state = self.subscription.state
        return {
            "live": state.live,
            "items": state.items() if self.whole else None,
            "version": state.version,
            "floor": state.floor,
            "events": self.events,
            "error": self.subscription.error,
            "answers": self.answers,
            "resets": self.resets,
            "faults": self.faults,
        }


class Client:
    """One client: a store and a socket that this driver can cut and stall."""

    def __init__(self) -> None:
        self.store = ClientStore(self._told)
        self.seen: dict[str, Seen] = {}
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._bytes = 0

    def _told(self, subscription: Subscription, what: str, value: Any) -> None:
        for seen in self.seen.values():
            if seen.subscription is subscription:
                seen.told(what, value)

    async def connect(self, url: str) -> None:
        """Open a socket, with what the store asks for."""
        await self.cut()
        self._socket = await open_socket(
            url.replace("http", "ws", 1), subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None
        )
        self.store.connected()
        self._bytes = 0
        self.unstall()
        await self.flush()

    async def cut(self) -> None:
        """Drop the connection without a word."""
        self.stall()
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket = None
        self.store.disconnected()

    def stall(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def unstall(self) -> None:
        """Read again."""
        if self._socket is not None and self._reading is None:
            self._reading = asyncio.create_task(self._read(self._socket))

    async def flush(self) -> None:
        """Send what the store asks for."""
        with contextlib.suppress(ConnectionClosed):
            while self._socket is not None and self.store.outbox:
                await self._socket.send(self.store.outbox.pop(0))

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                self._bytes += len(message)
                self.store.received(message)
                await self.flush()
        self.store.disconnected()

    def look(self, name: str) -> dict[str, Any]:
        """The answer to `look`."""
        return {**self.seen[name].look(), "bytes": self._bytes}


class Driver:
    """Carries out commands."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command and answer it."""
        client = self._clients.setdefault(command["client"], Client())
        name = command.get("as", "")
        match command["do"]:
            case "connect":
                await client.connect(command["url"])
            case "cut":
                await client.cut()
            case "stall":
                client.stall()
            case "unstall":
                client.unstall()
            case "subscribe":
                client.seen[name] = Seen(_subscribe(client.store, command))
            case "unsubscribe":
                client.store.unsubscribe(client.seen[name].subscription)
            case "more":
                client.store.more(client.seen[name].subscription, command["limit"])
            case "state":
                client.store.set_state(client.seen[name].subscription, command["state"])
            case "cancel":
                seen = client.seen[name]
                client.store.cancel(seen.subscription, command.get("id"), seen.answered)
            case "look":
                return client.look(name)
            case unknown:
                return {"error": f"unknown command {unknown!r}"}
        await client.flush()
        return {}


def _subscribe(store: ClientStore, command: dict[str, Any]) -> Subscription:
    return store.subscribe(
        command["stream"],
        command["group"],
        command.get("id"),
        limit=command.get("limit"),
        state=command.get("state"),
    )


async def main() -> None:
    """Answer commands until the end of input."""
    driver = Driver()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer = await driver.do(orjson.loads(line))
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
