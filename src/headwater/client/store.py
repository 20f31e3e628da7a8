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
from headwater.client.feeds import Feeds
from headwater.client.refusals import OFFLINE, STREAM_UNKNOWN, offline, too_large
from headwater.client.state import Lost
from headwater.client.subscription import Subscription
from headwater.client.writes import MOST_WRITES, MOST_WRITES_BYTES, Writes, Written
from headwater.jsonvalue import is_object

Watcher = Callable[[Subscription, str, Any], None]
"""Told of each thing that a reader may see: the subscription; "state", "event", "behind", "reset" or "error";
and its value, for a state the id of the one item that has changed, or None."""

Settle = Callable[[dict[str, Any] | None], None]
"""Told how the server has answered a question: None is yes, else its error."""

MOST_BYTES = 1024 * 1024
"""Of a message, where the server has not said how many it takes."""

EXPIRED = "TOKEN_EXPIRED"
_BUSY = ("TOO_MANY", "STORE_UNAVAILABLE")
"""Refusals of a write that may be tried again as it was."""


class ClientStore:
    """The subscriptions and the writes of one client.

    `renew` is asked to bring another token, which `auth` gets; False: there will be none. `pause` is asked to
    call `go_on` before long.
    """

    def __init__(
        self,
        watcher: Watcher = lambda _subscription, _what, _value: None,
        *,
        renew: Callable[[], bool] = lambda: False,
        pause: Callable[[], None] = lambda: None,
        most_writes: int = MOST_WRITES,
        most_writes_bytes: int = MOST_WRITES_BYTES,
    ) -> None:
        self.outbox: list[str] = []
        self.epoch = ""
        self._watcher = watcher
        self._renew = renew
        self._pause = pause
        self._writes = Writes(self._number, most=most_writes, most_bytes=most_writes_bytes)
        self._ended: dict[int, Subscription] = {}
        """Ended for what may change: with a token (without an error), or for a stream that there is not."""
        self._nobody = False
        """The token has expired: nobody knows who asks."""
        self._numbers = 0
        self._subscriptions: dict[int, Subscription] = {}
        self._feeds = Feeds()
        self._connected = False
        self._questions: dict[int, Settle] = {}
        self._most = MOST_BYTES  # The server ends a connection on which a message of more comes.

    @property
    def live(self) -> bool:
        """Whether all that is held is the server's state."""
        return (
            self._connected
            and all(one.error for one in self._ended.values())
            and all(one.state.live for one in self._subscriptions.values())
        )

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
        ended = self._ended.pop(subscription.number, None)
        if self._subscriptions.pop(subscription.number, ended) is not None and self._connected:
            self._send({"t": "unsub", "sub": subscription.number})
        self._feeds.leave(subscription)

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

    def write(self, message: dict[str, Any], *, waits: bool, written: Written) -> None:
        """Have a write done, or an event sent: a message but for its question's number. `waits`: for a
        connection too, where there is none."""
        refusal = too_large(message, self._most)
        if refusal is not None:
            written(refusal, 0)
        else:
            self._writes.add(message, len(orjson.dumps(message)), waits, written)

    def withdraw(self, message: dict[str, Any]) -> None:
        """Do not say a write that was not said so far."""
        self._writes.withdraw(message)

    def go_on(self) -> None:
        """What was held up by a refusal that passes."""
        if self._connected:
            self._writes.go()

    def gone(self, reason: str, *, ends: bool = False) -> None:
        """No connection is to be expected soon; `ends`: none at all."""
        self._writes.refuse(offline(reason), every=ends)

    def auth(self, token: str, settle: Settle) -> None:
        """Say who asks by another token. What has ended with the one before goes on."""

        def settled(error: dict[str, Any] | None) -> None:
            if error is None:
                for subscription in self._revive():
                    self._ask(subscription)
                self._writes.go()
            settle(error)

        self._question({"t": "auth", "token": token}, settled)

    def stale(self, reason: str) -> None:
        """There is no other token so far. Where the one before has expired, what does not wait is refused."""
        if self._nobody:
            said = f"The token has expired, and there is no new one: {reason}"
            self._writes.refuse({"code": EXPIRED, "message": said})

    def connected(self) -> None:
        """A connection is open: ask for everything, each from where it stands."""
        self._connected = True
        self.outbox.clear()
        self._revive()
        for subscription in list(self._subscriptions.values()):
            self._ask(subscription)
        self._writes.go()

    def disconnected(self) -> None:
        """The connection is gone; what is held stays."""
        self._connected = False
        self.outbox.clear()
        self._feeds.clear()
        self._writes.disconnected()
        for ask in list(self._questions):
            self._settle(ask, offline("The connection ended before the server answered."))
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
        elif message.get("t") == "expiring":
            self._renew()
        elif message.get("t") == "appeared":
            self._appeared(message["sub"])
        else:
            subscription = self._subscriptions.get(message.get("sub", -1))
            if subscription is not None:
                self._catch_up(subscription, message)

    def _answered(self, message: dict[str, Any]) -> None:
        said = {key: value for key, value in message.items() if key not in ("t", "sub", "ask")}
        error = None if message.get("t") == "ok" else said
        self._writes.answered(message["ask"], error, message.get("v", 0), self._waits)
        self._settle(message["ask"], error)

    def _waits(self, refusal: dict[str, Any], waits: bool) -> bool:
        """Whether what was refused can be said again later, and is."""
        if refusal["code"] == EXPIRED:
            return self._renews()
        if not waits or refusal["code"] not in _BUSY:
            return False
        self._writes.hold(busy=True)
        self._pause()
        return True

    def _renews(self) -> bool:
        """What is asked waits for another token, unless there will be none."""
        self._nobody = True
        if not self._renew():
            return False
        self._writes.hold()
        return True

    def _revive(self) -> list[Subscription]:
        """What has ended for what may have changed begins again."""
        self._nobody = False
        revived = list(self._ended.values())
        for subscription in revived:
            self._begin(subscription)
        return revived

    def _begin(self, subscription: Subscription) -> None:
        del self._ended[subscription.number]
        subscription.error = None
        self._renumber(subscription)

    def _appeared(self, number: int) -> None:
        """The stream is there that a subscription was refused for."""
        subscription = self._ended.get(number)
        if subscription is not None:
            self._begin(subscription)
            self._ask(subscription)
            self._watcher(subscription, "behind", None)

    def _settle(self, ask: int, error: dict[str, Any] | None) -> None:
        settle = self._questions.pop(ask, None)
        if settle is not None:
            settle(error)

    def _catch_up(self, subscription: Subscription, message: dict[str, Any]) -> None:
        state = subscription.state
        match message.get("t"):
            case "subscribed":
                self._feeds.leave(subscription)
                state.begin()
                subscription.epoch = message["epoch"]
                self._feeds.join(subscription, message["f"])
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
            case "revoked":
                self._failed(subscription, {**message, "ended": True})
            case _:
                pass

    def _live(self, message: dict[str, Any]) -> None:
        for subscription in self._feeds.of(message["f"]):
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
        self._feeds.leave(subscription)
        del self._subscriptions[subscription.number]
        subscription.state.lose()
        self._renumber(subscription)
        self._ask(subscription)

    def _renumber(self, subscription: Subscription) -> None:
        self._numbers += 1
        subscription.number = self._numbers
        self._subscriptions[subscription.number] = subscription

    def _failed(self, subscription: Subscription, message: dict[str, Any]) -> None:
        error = {key: value for key, value in message.items() if key not in ("t", "sub", "ended")}
        renews = error.get("code") == EXPIRED and self._renews()
        if message.get("ended"):
            del self._subscriptions[subscription.number]
            self._feeds.leave(subscription)
            subscription.state.fall_behind()
            if renews or error.get("code") == STREAM_UNKNOWN:
                self._ended[subscription.number] = subscription
            subscription.error = None if renews else error
        self._watcher(subscription, "behind" if renews else "error", None if renews else error)

    def _ask(self, subscription: Subscription) -> None:
        """Ask for a subscription. One that is too large to be asked for ends, and nothing else."""
        message = subscription.request()
        refusal = too_large(message, self._most)
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
        gone = None if self._connected else offline("There is no connection to the server.")
        refusal = gone or too_large(message, self._most)
        if refusal is not None:
            settle(refusal)
        else:
            self._questions[self._number(message)] = settle

    def _number(self, message: dict[str, Any]) -> int:
        """Ask it, under a number of its own."""
        self._numbers += 1
        self._send({**message, "ask": self._numbers})
        return self._numbers

    def _send(self, message: dict[str, Any]) -> None:
        self.outbox.append(orjson.dumps(message).decode())
