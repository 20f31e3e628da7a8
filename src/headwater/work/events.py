"""Events: what is emitted becomes one job for each step that subscribes to its topic, or is refused.

Owns what an emission is and who hears of it; what then happens to a job is `dispatcher.py`'s. A topic that
nobody subscribes to is told once in the log and accepted: the steps of a project come and go.
"""

from __future__ import annotations

import logging
import math
import secrets
from asyncio import Future
from difflib import get_close_matches
from typing import Any, NamedTuple

import orjson

from headwater.clock import Clock
from headwater.config import WorkSettings
from headwater.errors import InvalidInput, Limit, SchemaMismatch, TooLarge
from headwater.jsonshape import ANY_DEPTH, Shape, check_shape
from headwater.logline import Line, tell
from headwater.model import Origin
from headwater.streams.commits import refused
from headwater.work.circles import Circles
from headwater.work.consumer import Consumer, Consumers
from headwater.work.dispatcher import Dispatcher
from headwater.work.job import Accepted, Job
from headwater.work.topics import reserved

log = logging.getLogger("headwater.work")

MOST_DELAY = 366 * 86_400.0
"""A year, in seconds; a later time is a mistake of units."""
MOST_TOLD = 1000
"""Different things told once; beyond them they are told no more, so that made-up topics hold no memory."""

MEMBERS = ("topic", "data", "messageGroupId", "delay", "key")
"""What `ctx.emit` takes."""


class Emission(NamedTuple):
    """One event as it is emitted.

    `data` is JSON text. `group` keeps order (fifo steps). `delay` is in seconds. A `key` that was used in the
    last day makes no new jobs. `unknown` is a member that it was given and that means nothing.
    """

    topic: str
    data: bytes
    group: str | None = None
    delay: float = 0.0
    key: str | None = None
    origin: Origin = Origin()
    unknown: str = ""


class Events:
    """Takes emissions. `declared` answers what topics a step may emit; empty lets it emit any."""

    def __init__(self, dispatcher: Dispatcher, settings: WorkSettings, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._clock = clock
        self._told: set[tuple[str, str]] = set()
        self._circles = Circles()

    def emit(self, emission: Emission, declared: tuple[str, ...] = ()) -> Future[Accepted]:
        """Accept an event: once the future is done its jobs are committed, which are runs of those ids.

        `declared` are the topics that the emitting step says it emits; none of them allows all. Nothing
        raises here; the future carries InvalidInput, SchemaMismatch (only where inputs are checked strictly),
        TooLarge, QueueFull, TooMany (too much waits for a commit) or StoreUnavailable.
        """
        try:
            value = self._checked(emission)
            consumers = self._dispatcher.consumers.of(emission.topic)
            self._tell(emission, declared, consumers, self._dispatcher.consumers)
            if emission.origin.links:
                self._circles.see(emission.origin, consumers)
            for consumer in consumers:
                self._check_input(emission, consumer, value)
            jobs = [self._job(emission, consumer) for consumer in consumers]
        except (InvalidInput, SchemaMismatch, TooLarge) as error:
            return refused(error)
        key = None if emission.key is None else f"emit:{emission.topic}:{emission.key}"
        return self._dispatcher.accept(jobs, emission.data, key)

    def _checked(self, emission: Emission) -> Any:
        """The event's data, decoded.

        :raises InvalidInput: the topic, an option or the data make no sense.
        :raises TooLarge: there is too much data.
        """
        if not emission.topic.strip():
            raise InvalidInput("An event needs a topic that is a non-empty text.", hint=_EXAMPLE)
        if reserved(emission.topic):
            raise InvalidInput(
                f'"{emission.topic}" is a topic of writes, which nobody emits.',
                hint="Write to that stream or state group, and its subscribers run.",
            )
        if not math.isfinite(emission.delay) or not 0 <= emission.delay <= MOST_DELAY:
            raise InvalidInput(f"delay is in seconds, from 0 to {MOST_DELAY:.0f}, not {emission.delay:g}.")
        for name, text in (("messageGroupId", emission.group), ("key", emission.key)):
            limit = self._settings.max_name_bytes
            if text is not None and not 0 < len(text.encode(errors="replace")) <= limit:
                raise InvalidInput(f"{name} is a text of 1 to {limit} bytes.", limit=limit).at(
                    "work.max_name_bytes", limit
                )
        limit = self._settings.max_payload_bytes
        if len(emission.data) > limit:
            raise TooLarge(
                f"The data of an event has {len(emission.data)} bytes; the limit is {limit}.",
                hint="Keep it in a stream or the state and emit its id, or raise [work] max_payload_bytes.",
                size=len(emission.data),
                limit=limit,
            ).at("work.max_payload_bytes", limit)
        most = Limit("work.max_payload_values", self._settings.max_payload_values)
        hint = "Keep it in a stream or the state and emit its id, or raise [work] max_payload_values."
        check_shape(emission.data, Shape(most, ANY_DEPTH), "event's data", hint)
        try:
            return orjson.loads(emission.data)
        except orjson.JSONDecodeError as fault:
            raise InvalidInput(f"The data of an event is not JSON: {fault}.") from None

    def _check_input(self, emission: Emission, consumer: Consumer, value: Any) -> None:
        """Compare the data with what the step says it takes. Old projects rely on being run all the same.

        :raises SchemaMismatch: inputs are checked strictly.
        """
        mode = self._settings.input
        faults = consumer.schema.faults(value) if consumer.schema is not None and mode != "off" else []
        if not faults:
            return
        first = f"{faults[0].field}: {faults[0].message}" if faults[0].field else faults[0].message
        message = f'The data of "{emission.topic}" breaks the input of "{consumer.name}": {first}'
        if mode == "strict":
            raise SchemaMismatch(message, faults, topic=emission.topic, step=consumer.name)
        fields = {"topic": emission.topic, "faults": {one.field: one.message for one in faults}}
        tell(log, logging.WARNING, Line(*emission.origin[:2], fields), "%s", message)

    def _tell(
        self,
        emission: Emission,
        declared: tuple[str, ...],
        consumers: list[Consumer],
        all_consumers: Consumers,
    ) -> None:
        """Say once what the author of the step may not mean. It is delivered all the same."""
        step, topic = emission.origin.step, emission.topic
        if emission.unknown:
            near = get_close_matches(emission.unknown.lower(), [one.lower() for one in MEMBERS], n=1)
            meant = f' Is "{next(one for one in MEMBERS if one.lower() == near[0])}" meant?' if near else ""
            self._once(emission, f'An emit has no "{emission.unknown}", which is ignored.{meant}')
        if declared and topic not in declared:
            self._once(emission, f'"{step}" emits "{topic}", which its "emits" does not list.')
        if not consumers:
            near = [one for one in all_consumers.topics if one.lower() == topic.lower()]
            meant = f' Is "{near[0]}" meant?' if near else ""
            self._once(emission, f'Nobody subscribes to "{topic}"; the event is dropped.{meant}')

    def _once(self, emission: Emission, message: str) -> None:
        told = (emission.origin.step, message)
        if told in self._told or len(self._told) >= MOST_TOLD:
            return
        self._told.add(told)
        tell(log, logging.WARNING, Line(*emission.origin[:2]), "%s", message)

    def _job(self, emission: Emission, consumer: Consumer) -> Job:
        now = self._clock.now()
        lane = (emission.group or "") if consumer.fifo else None
        return Job(
            id=new_id(now),
            queue=consumer.name,
            topic=emission.topic,
            at=now,
            due=now + consumer.delay + emission.delay,
            lane=lane,
            trace=emission.origin.trace,
            depth=emission.origin.depth,
            auth=emission.origin.auth,
            links=emission.origin.links + 1,
        )


_EXAMPLE = 'For example ctx.emit({"topic": "order.created", "data": {"id": 1}}).'


class _Chance:
    """Random hex digits of the system, fetched for many at a time: each fetch is a call of the kernel."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def take(self, digits: int) -> str:
        at, self._at = self._at, self._at + digits
        if self._at > len(self._digits):
            self._digits = secrets.token_hex(2048)
            at, self._at = 0, digits
        return self._digits[at : self._at]


_chance = _Chance()


def new_id(now: float) -> str:
    """A job's id: 11 hex digits of its time in ms, then 13 random ones, so ids sort by time to the eye."""
    return f"{int(now * 1000):011x}{_chance.take(13)}"
