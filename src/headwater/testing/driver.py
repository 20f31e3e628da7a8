"""A client library behind standard input and output, so that language-neutral scenarios can drive it.

`python -m headwater.testing.driver` reads one JSON command a line and answers each with one JSON line. A
library of another language brings a program that does the same. Commands (`client` and `as` are names of the
caller's choice):

- `{"do": "connect", "client", "url", "tokens"?}`, `{"do": "cut", "client"}` (drop the connection without a
  word), `{"do": "stall", "client"}` and `{"do": "unstall", "client"}` (stop and go on reading the socket).
  The first `connect` may bring what a token function answers, one after the other (null: it fails), and the
  last one for ever.
- `{"do": "subscribe", "client", "as", "stream", "group", "id"?, "limit"?, "state"?, "events"}`; `events` are
  types, for a library that hears only those which it listens for.
- `{"do": "unsubscribe", "client", "as"}`, `{"do": "more", "client", "as", "limit"}`, `{"do": "state",
  "client", "as", "state"}`.
- `{"do": "cancel", "client", "as", "id"?}`: cancel the run that has claimed an item; it is not waited for.
- `{"do": "write", "client", "as", "set": ID, "data"}`, `"update": ID, "ops"`, `"delete": ID`, or `"send":
  {"type", "data"}, "id"?`: write to the group of a subscription, with `"if_version"`, `"key"` and `"offline"`
  where given; it is not waited for.
- `{"do": "look", "client", "as"}` answers `{"live", "items", "version", "floor", "events", "error",
  "answers", "bytes", "resets", "tokens", "faults"}`: what the subscription holds (`items` null before the
  first whole state), ephemeral events so far, why it ended, what its cancels and writes were answered with so
  far ("ok", the version of a write, or a code), bytes received on the connection, how often it was told to
  start over, how often its client has asked for a token, and what the driver saw that no client may see (a
  version that did not increase).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any
from uuid import uuid4

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from headwater.client.renewal import Renewal
from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription
from headwater.peer import TOKEN_PREFIX
from headwater.protocol.clients.v1 import SUBPROTOCOL


class Seen:
    """What one subscription was told."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.whole = False
        self.version = 0
        self.events: list[Any] = []
        self.answers: list[str | int] = []
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

    def written(self, error: dict[str, Any] | None, version: int) -> None:
        """The answer to a write."""
        self.answers.append(version if error is None else error["code"])

    def answered_event(self, error: dict[str, Any] | None, _version: int) -> None:
        """The answer to an event."""
        self.answered(error)

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
        self.store = ClientStore(self._told, renew=self._renew)
        self.seen: dict[str, Seen] = {}
        self._tokens: list[str | None] = []
        self._asked = 0
        self._renewal = Renewal(self._auth, self.store.stale)
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._bytes = 0

    def _told(self, subscription: Subscription, what: str, value: Any) -> None:
        for seen in self.seen.values():
            if seen.subscription is subscription:
                seen.told(what, value)

    async def connect(self, url: str, tokens: list[str | None]) -> None:
        """Open a socket, with what the store asks for."""
        await self.cut()
        self._tokens = self._tokens or tokens
        offers = [Subprotocol(SUBPROTOCOL)]
        if self._tokens:
            offers.append(Subprotocol(f"{TOKEN_PREFIX}{self._token()}"))
        self._socket = await open_socket(url.replace("http", "ws", 1), subprotocols=offers, max_size=None)
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
        self._end()

    def write(self, name: str, command: dict[str, Any]) -> None:
        """Ask for a write, in the group of a subscription."""
        seen = self.seen[name]
        subscription = seen.subscription
        message: dict[str, Any] = {"stream": subscription.stream, "group": subscription.group}
        item = command.get("id")
        for verb, body in (("set", {"d": command.get("data")}), ("update", {"ops": command.get("ops")})):
            if verb in command:
                item, message = command[verb], {"t": verb, **message, **body}
        if "delete" in command:
            item, message["t"] = command["delete"], "delete"
        if "send" in command:
            message |= {"t": "send", "e": command["send"]}
        else:
            message["key"] = command.get("key") or str(uuid4())
        if item is not None:
            message["id"] = item
        if version := command.get("if_version"):
            message["if"] = {"epoch": self.store.epoch, "v": version}
        elif version == 0:
            message["if"] = {"v": 0}
        written = seen.answered_event if message["t"] == "send" else seen.written
        self.store.write(message, waits=command.get("offline", False), written=written)
        if self._socket is None:
            self.store.gone("There is no connection.")

    def _token(self) -> str:
        self._asked += 1
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        if token is None:
            raise OSError("there is no token now")
        return token

    def _renew(self) -> bool:
        self._renewal.begin()
        return bool(self._tokens)

    async def _auth(self) -> None:
        answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self.store.auth(self._token(), answer.set_result)
        await self.flush()
        error = await answer
        await self.flush()
        if error is not None:
            raise OSError(error["code"])

    def _end(self) -> None:
        self._renewal.end()
        self.store.disconnected()
        self.store.gone("The connection has ended.")

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
        self._socket = None
        self._end()

    def look(self, name: str) -> dict[str, Any]:
        """The answer to `look`."""
        return {**self.seen[name].look(), "bytes": self._bytes, "tokens": self._asked}


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
                await client.connect(command["url"], command.get("tokens", []))
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
            case "write":
                client.write(name, command)
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
