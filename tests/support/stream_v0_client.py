"""A model of the published v0 clients, 0.8.2 to 0.17.14: it drops, ignores and keeps exactly what they do.

Rooms are named by stream, group and item. Listeners outlive the connection: a client that reconnects joins
again with what it holds and with the stamps it has seen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson


class Place(NamedTuple):
    """What a listener listens to; `item` None is the group."""

    stream: str
    group: str
    item: str | None


Message = dict[str, Any]


class GroupListener:
    """The list of a group's items, as pages show it."""

    def __init__(self) -> None:
        self.state: list[Any] = []
        self.synced = 0
        self.events: list[Any] = []
        self._last = 0.0
        self._stamps: dict[str, float] = {}

    def take(self, message: Message) -> None:
        stamp, event = message["timestamp"], message["event"]
        match event["type"]:
            case "sync":
                if stamp < self._last:
                    raise Dropped(message)
                self._stamps.clear()
                self._last = stamp
                self.state = list(event["data"])
                self.synced += 1
            case "create":
                if all(item["id"] != event["data"]["id"] for item in self.state):
                    self.state = [*self.state, event["data"]]
            case "update":
                item = event["data"]
                if self._stamps.get(item["id"], 0.0) >= stamp:
                    return
                self._last = self._stamps[item["id"]] = stamp
                self.state = [item if held["id"] == item["id"] else held for held in self.state]
            case "delete":
                self._last = self._stamps[event["data"]["id"]] = stamp
                self.state = [held for held in self.state if held["id"] != event["data"]["id"]]
            case _:
                self.events.append(event["event"])


class ItemListener:
    """One item, or None."""

    def __init__(self) -> None:
        self.state: Any = None
        self.synced = 0
        self.events: list[Any] = []
        self.last = 0.0

    def take(self, message: Message) -> None:
        stamp, event = message["timestamp"], message["event"]
        if stamp <= self.last:
            if event["type"] == "sync":
                raise Dropped(message)
            return
        self.last = stamp
        match event["type"]:
            case "sync" | "create" | "update":
                self.state = event["data"]
                self.synced += event["type"] == "sync"
            case "delete":
                assert event["data"]["id"], "the client reads the id of what was deleted"
                self.state = None
            case _:
                self.events.append(event["event"])


class Dropped(AssertionError):
    """The client throws a sync away, for its stamp is not above the last one: the page freezes."""


Listener = GroupListener | ItemListener


class PublishedClient:
    """One page: its listeners by id, and the messages it takes."""

    def __init__(self) -> None:
        self.listeners: dict[str, tuple[Place, Listener]] = {}

    def listen(self, name: str, place: Place) -> str:
        """Add a listener; answers the join to send."""
        self.listeners[name] = (place, GroupListener() if place.item is None else ItemListener())
        return request("join", name, place)

    def unlisten(self, name: str) -> str:
        """Drop a listener; answers the leave to send."""
        place, _ = self.listeners.pop(name)
        return request("leave", name, place)

    def joins(self) -> list[str]:
        """What the client sends once it is connected."""
        return [request("join", name, place) for name, (place, _) in self.listeners.items()]

    def take(self, message: Message) -> None:
        """A message came: it goes to the listeners of its room, and one about an item to those of the group
        too, unless it is a sync."""
        place = Place(message["streamName"], message["groupId"], message.get("id"))
        self._give(place, message)
        if place.item and message["event"]["type"] != "sync":
            self._give(place._replace(item=None), message)

    def _give(self, place: Place, message: Message) -> None:
        for listened, listener in self.listeners.values():
            if listened == place:
                listener.take(message)


def request(kind: str, name: str, place: Place) -> str:
    """A join or leave as the published clients send it."""
    item = {} if place.item is None else {"id": place.item}
    data = {"streamName": place.stream, "groupId": place.group, **item, "subscriptionId": name}
    return orjson.dumps({"type": kind, "data": data}).decode()
