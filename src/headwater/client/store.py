"""All that one client is subscribed to, over one connection at a time. Pure: text in, text out, no I/O.

Whoever owns a connection calls `connected`, `received`, `disconnected` and sends what `outbox` holds. The
store asks again for what a lost connection interrupted, from the last cursor. This is the reference that
other clients are measured by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from headwater.client import given
from headwater.client.state import Lost, State
from headwater.jsonvalue import is_object


class Subscription:
    """One subscription of a client. `state` is what it holds; `events` and `error` what it was told beside
    it."""

    def __init__(
        self,
        number: int,
        stream: str,
        group: str,
        item: str | None,
        limit: int | None,
        presence: dict[str, Any] | None,
    ) -> None:
        self.number = number
        self.stream = stream
        self.group = group
        self.item = item
        self.limit = limit
        self.presence = self.present = presence
        """The client's own state in the group, where it gave one: as it is meant to be, and as the server is
        known to have taken it."""
        self.state = State(item, size=limit or 0)
        self.feed: int | None = None
        self.epoch = ""
        """The epoch of the store that answers it."""
        self.error: dict[str, Any] | None = None
        """Why the server ended it; None while it lives."""

    def request(self) -> dict[str, Any]:
        """The `sub` message that asks for it from where it stands."""
        message: dict[str, Any] = {"t": "sub", "sub": self.number, "stream": self.stream, "group": self.group}
        if self.item is not None:
            message["id"] = self.item
        if self.limit is not None:
            message["limit"] = self.limit
        if self.presence is not None:
            message["state"] = self.presence
        if self.state.epoch and self.state.version:
            message["from"] = {"epoch": self.state.epoch, "v": self.state.version}
            if self.limit is not None:
                message["floor"] = self.state.floor
        return message


Watcher = Callable[[Subscription, str, Any], None]
"""Told of each thing that a reader may see: the subscription; "state", "event", "behind", "reset" or "error";
and its value, for a state the id of the one item that has changed, or None."""

Settle = Callable[[dict[str, Any] | None], None]
"""Told how the server has answered a question: None is yes, else its error."""

MOST_BYTES = 1024 * 1024
"""Of a message, where the server has not said how many it takes."""

_SPARE_BYTES = 32
"""What the number of a question adds to its message."""

OFFLINE = "OFFLINE"
"""The code of what this client says itself, where nobody could be asked."""


class ClientStore:
    """The subscriptions of one client."""

    def __init__(self, watcher: Watcher = lambda _subscription, _what, _value: None) -> None:
        self.outbox: list[str] = []
        self.epoch = ""
        self._watcher = watcher
        self._numbers = 0
        self._subscriptions: dict[int, Subscription] = {}
        self._feeds: dict[int, list[Subscription]] = {}
        self._connected = False
        self._questions: dict[int, Settle] = {}
        self._most = MOST_BYTES

    @property
    def live(self) -> bool:
        """Whether all that is held is the server's state."""
        return self._connected and all(one.state.live for one in self._subscriptions.values())

    @property
    def feeds(self) -> int:
        """How many feeds of the server anything here follows."""
        return len(self._feeds)

    def subscribe(
        self,
        stream: str,
        group: str,
        item: str | None = None,
        *,
        limit: int | None = None,
        state: dict[str, Any] | None = None,
    ) -> Subscription:
        """Follow a group, the newest `limit` items of it, or one item; be there with a presence state. One
        that the server would not take whole has an `error` at once.

        :raises InvalidInput: a name, the limit or the state is none.
        """
        stream, group = given.name("stream", stream), given.name("group", group)
        item = None if item is None else given.name("id", item)
        state = None if state is None else given.presence(state)
        limit = given.limit(limit)
        self._numbers += 1
        subscription = Subscription(self._numbers, stream, group, item, limit, state)
        self._subscriptions[subscription.number] = subscription
        self._ask(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        if self._subscriptions.pop(subscription.number, None) is not None and self._connected:
            self._send({"t": "unsub", "sub": subscription.number})
        self._detach(subscription)

    def more(self, subscription: Subscription, limit: int) -> None:
        """Make a window larger; while it is not live, older items are not asked for yet."""
        if subscription.limit is not None:
            subscription.state.size += limit
            self._fill(subscription)

    def set_state(self, subscription: Subscription, presence: dict[str, Any]) -> None:
        """Change the client's own state in a group. One that the server refuses is not said again after a
        reconnect.

        :raises InvalidInput: it is no object that JSON can hold.
        """
        state = subscription.presence = given.presence(presence)

        def settle(error: dict[str, Any] | None) -> None:
            if error is None:
                subscription.present = state
            elif error["code"] != OFFLINE:
                if subscription.presence is state:
                    subscription.presence = subscription.present
                self._watcher(subscription, "error", error)

        self._question({"t": "state", "sub": subscription.number, "state": state}, settle)

    def following(self, stream: str, group: str, item: str) -> Subscription | None:
        """One that covers an item and that the server has not ended."""
        for one in self._subscriptions.values():
            if (one.stream, one.group) == (stream, group) and one.item in (None, item):
                return one
        return None

    def cancel(self, subscription: Subscription, item: str | None, settle: Settle) -> None:
        """Stop the run that has claimed an item; None is the subscription's own."""
        if subscription.error is not None:
            settle(subscription.error)
        else:
            named = {} if item is None else {"id": item}
            self._question({"t": "cancel", "sub": subscription.number, **named}, settle)

    def connected(self) -> None:
        """A connection is open: ask for everything, each from where it stands."""
        self._connected = True
        self.outbox.clear()
        for subscription in list(self._subscriptions.values()):
            self._ask(subscription)

    def disconnected(self) -> None:
        """The connection is gone; what is held stays."""
        self._connected = False
        self.outbox.clear()
        self._feeds.clear()
        for ask in list(self._questions):
            self._settle(ask, _offline("The connection ended before the server answered."))
        for subscription in self._subscriptions.values():
            subscription.feed = None
            subscription.state.filling = False
            subscription.state.fall_behind()

    def received(self, text: str | bytes) -> None:
        """Take one message of the server. A message that this version does not know is ignored."""
        message = orjson.loads(text)
        if not is_object(message):
            return
        if "ask" in message:
            self._answered(message)
        elif "f" in message and message.get("t") != "subscribed":
            self._live(message)
        elif message.get("t") == "hello":
            self.epoch = message["epoch"]
            self._most = message.get("max", MOST_BYTES)
        else:
            subscription = self._subscriptions.get(message.get("sub", -1))
            if subscription is not None:
                self._catch_up(subscription, message)

    def _answered(self, message: dict[str, Any]) -> None:
        error = {key: value for key, value in message.items() if key not in ("t", "sub", "ask")}
        self._settle(message["ask"], None if message.get("t") == "ok" else error)

    def _settle(self, ask: int, error: dict[str, Any] | None) -> None:
        settle = self._questions.pop(ask, None)
        if settle is not None:
            settle(error)

    def _catch_up(self, subscription: Subscription, message: dict[str, Any]) -> None:
        state = subscription.state
        match message.get("t"):
            case "subscribed":
                self._detach(subscription)
                state.begin()
                subscription.epoch, subscription.feed = message["epoch"], message["f"]
                self._feeds.setdefault(message["f"], []).append(subscription)
            case "reset":
                state.reset(message["epoch"])
                self._watcher(subscription, "reset", message["reason"])
            case "page":
                older = message.get("older", False)
                state.page(message.get("items", []), message.get("gone", []), older=older)
            case "complete":
                state.complete(message["v"], subscription.epoch, message.get("floor"))
                self._fill(subscription)
                self._watcher(subscription, "state", None)
            case "behind":
                state.fall_behind()
                self._watcher(subscription, "behind", None)
            case "error":
                self._failed(subscription, message)
            case _:
                pass

    def _live(self, message: dict[str, Any]) -> None:
        for subscription in list(self._feeds.get(message["f"], ())):
            try:
                self._apply(subscription, message)
            except Lost:
                self._again(subscription)
            self._fill(subscription)

    def _apply(self, subscription: Subscription, message: dict[str, Any]) -> None:
        state, changed = subscription.state, False
        match message.get("t"):
            case "set":
                changed = state.set(message["v"], message["c"], message["d"])
            case "patch":
                changed = state.patch(message["v"], message["i"], message["o"])
            case "gone":
                changed = state.gone(message["v"], message["i"])
            case "event":
                if state.live and subscription.item in (None, message.get("i")):
                    self._watcher(subscription, "event", message["e"])
            case _:
                pass
        if changed:
            self._watcher(subscription, "state", message["d"]["id"] if "d" in message else message["i"])

    def _again(self, subscription: Subscription) -> None:
        """Ask anew, under a new number, so that frames under way of the old one cannot be taken for it."""
        self._send({"t": "unsub", "sub": subscription.number})
        self._detach(subscription)
        del self._subscriptions[subscription.number]
        self._numbers += 1
        subscription.number = self._numbers
        subscription.state.lose()
        self._subscriptions[subscription.number] = subscription
        self._ask(subscription)

    def _failed(self, subscription: Subscription, message: dict[str, Any]) -> None:
        error = {key: value for key, value in message.items() if key not in ("t", "sub", "ended")}
        if message.get("ended"):
            subscription.error = error
            del self._subscriptions[subscription.number]
            self._detach(subscription)
        self._watcher(subscription, "error", error)

    def _detach(self, subscription: Subscription) -> None:
        feed, subscription.feed = subscription.feed, None
        among = self._feeds.get(feed) if feed is not None else None
        if feed is not None and among is not None and subscription in among:
            among.remove(subscription)
            if not among:
                del self._feeds[feed]

    def _ask(self, subscription: Subscription) -> None:
        """Ask for a subscription. One that is too large to be asked for ends, and nothing else."""
        message = subscription.request()
        refusal = self._too_large(message)
        if refusal is not None:
            self._failed(subscription, {**refusal, "ended": True})
        elif self._connected:
            self._send(message)

    def _fill(self, subscription: Subscription) -> None:
        """Ask for older items, where a window is short of them."""
        state = subscription.state
        limit = state.short
        if limit and state.live and not state.filling and self._connected:
            state.ask()
            self._send({"t": "more", "sub": subscription.number, "limit": limit, "floor": state.floor})

    def _question(self, message: dict[str, Any], settle: Settle) -> None:
        offline = None if self._connected else _offline("There is no connection to the server.")
        refusal = offline or self._too_large(message)
        if refusal is not None:
            settle(refusal)
            return
        self._numbers += 1
        self._questions[self._numbers] = settle
        self._send({**message, "ask": self._numbers})

    def _too_large(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Why a message must not be sent: the server ends a connection on which one comes that is too
        large."""
        size = len(orjson.dumps(message)) + _SPARE_BYTES
        if size <= self._most:
            return None
        said = f"A message of {size} bytes is more than the server takes ({self._most})."
        return {"code": "TOO_LARGE", "message": said}

    def _send(self, message: dict[str, Any]) -> None:
        self.outbox.append(orjson.dumps(message).decode())


def _offline(message: str) -> dict[str, Any]:
    return {"code": OFFLINE, "message": message}
