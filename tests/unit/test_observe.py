"""Listeners hear what happens, several at once, and harm nobody."""

from __future__ import annotations

import inspect
import logging

import pytest

from headwater.model import GroupKey
from headwater.observe import EVENTS, SILENT, Observer, Observers

ROOM = GroupKey("chat", "room")


class Ear(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def live(self, group: GroupKey) -> None:
        self.heard.append(("live", group))

    def lost(self, worker: int, how: str) -> None:
        self.heard.append((how, worker))


class Broken(Observer):
    def live(self, group: GroupKey) -> None:
        raise RuntimeError("broken")


def test_each_listener_hears_what_it_overrides() -> None:
    observers, one, two = Observers(), Ear(), Ear()
    observers.add(one)
    observers.add(two)
    observers.live(ROOM)
    observers.lost(5, "killed")
    observers.subscribed(ROOM, None)
    assert one.heard == two.heard == [("live", ROOM), ("killed", 5)]


def test_a_listener_comes_and_goes() -> None:
    observers, ear = Observers(), Ear()
    assert not observers.listening
    observers.live(ROOM)
    observers.add(ear)
    assert observers.listening
    observers.live(ROOM)
    observers.remove(ear)
    observers.live(ROOM)
    assert not observers.listening
    assert len(ear.heard) == 1


def test_what_nobody_hears_ends_in_an_empty_function() -> None:
    observers = Observers()
    observers.add(Ear())
    assert observers.delivered.__func__ is Observer.delivered  # type: ignore[attr-defined]
    observers.add(SILENT)
    assert observers.behind.__func__ is Observer.behind  # type: ignore[attr-defined]


def test_a_listener_that_fails_is_logged_and_the_others_still_hear(caplog: pytest.LogCaptureFixture) -> None:
    observers, ear = Observers(), Ear()
    observers.add(Broken())
    observers.add(ear)
    with caplog.at_level(logging.ERROR):
        observers.live(ROOM)
    assert ear.heard == [("live", ROOM)]
    assert "An observer failed at 'live'" in caplog.text


def test_every_event_says_what_it_is_and_takes_few_arguments() -> None:
    assert len(EVENTS) > 15
    for event in EVENTS:
        method = getattr(Observer, event)
        assert method.__doc__, event
        assert len(inspect.signature(method).parameters) <= 4, event
