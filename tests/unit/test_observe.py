"""Listeners hear what happens, several at once, and harm nobody."""

from __future__ import annotations

import inspect
import logging
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import headwater
from headwater.config import Settings
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


def test_who_is_light_hears_and_has_nothing_measured() -> None:
    class Light(Ear):
        light = True

    observers, light = Observers(), Light()
    observers.add(light)
    assert not observers.listening
    observers.live(ROOM)
    assert light.heard == [("live", ROOM)]
    observers.add(Ear())
    assert observers.listening


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


EXEMPT = {
    "workers.max_size": "what finds no worker waits, and that has a limit of its own",
    "workers.node_max_size": "as above",
    "work.max_retries": "the end of a job tells it",
}
"""Settings that bound something and are never told as limits, and why."""


def test_every_setting_that_is_a_most_is_told_when_it_is_met_and_nothing_else_is() -> None:
    sources = [path.read_text() for path in Path(headwater.__file__).parent.rglob("*.py")]
    told = {
        setting
        for source in sources
        for setting in re.findall(
            r'(?:\.at\(|limited\(|Limit\(|^VALUES =)\s*"([a-z_]+\.[a-z_]+)"', source, re.M
        )
    }
    # A broken rule of the socket names its setting without the section.
    told |= {
        f"socket.{setting}"
        for source in sources
        for setting in re.findall(r'Violation\([^)]*, "([a-z_]+)"\)', source)
    }
    known = {
        f"{section.name}.{setting.name}"
        for section in fields(Settings())
        if is_dataclass(getattr(Settings(), section.name))
        for setting in fields(getattr(Settings(), section.name))
    }
    assert told <= known
    mosts = {name for name in known if name.partition(".")[2].startswith(("max_", "node_max_"))}
    assert mosts - told == set(EXEMPT)


def test_every_event_says_what_it_is_and_takes_few_arguments() -> None:
    assert len(EVENTS) > 15
    for event in EVENTS:
        method = getattr(Observer, event)
        assert method.__doc__, event
        assert len(inspect.signature(method).parameters) <= 4, event
