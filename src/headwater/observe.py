"""What the server tells whoever listens: one protocol of what happens at its measuring points.

Owns the names of what happens and the way to several listeners. A listener derives from `Observer` and
overrides what it wants to hear; whatever it raises is logged and harms nobody. The parts that tell know an
`Observer` and never who listens. What happens often is told by the batch, never one by one; what nobody hears
costs the call of an empty function, or a look at `listening` (`benchmarks/fanout` measures a server that is
heard beside one that is not).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from headwater.errors import HeadwaterError
from headwater.model import GroupKey, Trace
from headwater.peer import Peer, PeerKind

log = logging.getLogger("headwater.observe")


class Answered(NamedTuple):
    """An HTTP request and its answer. `step` is empty where no step answered; `began` is monotonic time and
    `seconds` what the answer took. Status 499 is a client that hung up first."""

    method: str
    path: str
    step: str
    status: int
    began: float
    seconds: float
    trace: Trace


class Batch(NamedTuple):
    """A batch of the commit queue: writes and units that were committed, those refused, the bytes that they
    held in the queue, and how long the store took."""

    writes: int
    refused: int
    size: int
    seconds: float


class Delivered(NamedTuple):
    """One flush: changes of a group, how many subscribers they went to, and bytes for each of them."""

    group: GroupKey
    changes: int
    subscribers: int
    size: int


class Run(NamedTuple):
    """An invocation: the project's file, the step's name, and the trace id."""

    file: str
    step: str
    trace: str


class Job(NamedTuple):
    """A job: the step whose queue it is in, its topic, its id, which attempt it is at, and the trace id."""

    step: str
    topic: str
    id: str
    attempt: int
    trace: str


class Observer:
    """Hears what happens. Every method does nothing until it is overridden; none may wait."""

    listening: bool = False
    """Whether anybody hears it; for parts that would have to measure or to build what they tell."""

    light: bool = False
    """Whether it hears only what costs nothing to tell, so that nothing is measured for it."""

    # --- clients ---

    def accepted(self, peer: Peer) -> None:
        """A socket or an event stream has opened."""

    def left(self, kind: PeerKind) -> None:
        """A socket or an event stream has ended."""

    def refused(self, peer: Peer, error: HeadwaterError) -> None:
        """A request, socket or subscription was not taken."""

    def answered(self, answer: Answered) -> None:
        """A request was answered."""

    def limited(self, setting: str, limit: float) -> None:
        """A limit was met: the setting as "section.key", and its value."""

    # --- streams ---

    def subscribed(self, group: GroupKey, item: str | None) -> None:
        """A subscription began; `item` None is the whole group."""

    def behind(self, group: GroupKey, why: Why) -> None:
        """A subscription has to catch up, and why."""

    def live(self, group: GroupKey) -> None:
        """A subscription has caught up."""

    def unsubscribed(self, group: GroupKey, live: bool) -> None:
        """A subscription has ended; whether it was live."""

    def delivered(self, flush: Delivered) -> None:
        """Changes were handed to connections; once a flush."""

    def committed(self, batch: Batch) -> None:
        """Writes were committed; once a batch."""

    # --- steps ---

    def invoked(self, run: Run) -> None:
        """An invocation was given to a worker; once more for each worker that lost it."""

    def ended(self, run: Run, seconds: float, code: str) -> None:
        """An invocation has ended, so long after it was asked for; `code` is empty, or its error's."""

    def stalled(self, worker: int) -> None:
        """A worker, named by its process id, shows no sign of life."""

    def blocked(self, file: str, seconds: float) -> None:
        """A step held its worker's loop."""

    def lost(self, worker: int, how: str) -> None:
        """A worker's process has ended, unasked."""

    def reloaded(self, generation: int, steps: int, streams: int) -> None:
        """A generation serves, with so many steps and streams."""

    def problem(self, code: str, message: str, file: str) -> None:
        """Something is wrong with a file of the project."""

    # --- work ---

    def job_accepted(self, job: Job) -> None:
        """A job was committed."""

    def job_begun(self, job: Job) -> None:
        """An attempt at a job begins."""

    def job_retried(self, job: Job, code: str, wait: float) -> None:
        """An attempt failed, with its error's code; the next comes after so many seconds."""

    def job_ended(self, job: Job, status: str, code: str) -> None:
        """A job is over: "done", "dead" (given up, with the error's code) or "cancelled"."""

    # --- the server itself ---

    def faltered(self, task: str, error: BaseException, wait: float) -> None:
        """A background task ended unexpectedly; it starts again after so many seconds."""


Why = Literal["join", "full", "gap", "sibling", "asked"]
"""Why a subscription has to catch up: it is new; its client is slow; the feed lacks something; another one of
its client fell behind, with which it shares its frames; its client asked for all of it again, or for more."""

SILENT = Observer()
"""Nobody listens."""

EVENTS = tuple(name for name, value in vars(Observer).items() if callable(value) and name[0] != "_")


class Observers(Observer):
    """Tells several listeners. Each event goes straight to whoever overrides it, so what nobody hears ends in
    an empty function."""

    def __init__(self) -> None:
        self._listeners: tuple[Observer, ...] = ()

    def add(self, listener: Observer) -> None:
        """Tell one more."""
        self._listeners = (*self._listeners, listener)
        self._wire()

    def remove(self, listener: Observer) -> None:
        """Tell it nothing more."""
        self._listeners = tuple(one for one in self._listeners if one is not listener)
        self._wire()

    def _wire(self) -> None:
        self.listening = not all(one.light for one in self._listeners)
        for event in EVENTS:
            nothing = getattr(Observer, event)
            hears = [
                getattr(one, event) for one in self._listeners if getattr(type(one), event) is not nothing
            ]
            vars(self).pop(event, None)
            if hears:
                setattr(self, event, _telling(event, hears))


@contextmanager
def telling_refusals(observer: Observer, peer: Peer) -> Generator[None]:
    """Tell the observer what a peer is refused within; whoever answers the peer gets it all the same."""
    try:
        yield
    except HeadwaterError as error:
        observer.refused(peer, error)
        raise


def tell_limit(observer: Observer, error: BaseException) -> None:
    """Tell the limit that an error is about, if it is about one. For whoever answers the error."""
    if isinstance(error, HeadwaterError) and error.limit is not None:
        observer.limited(*error.limit)


def _telling(event: str, hears: list[Callable[..., Any]]) -> Callable[..., None]:
    """Tell all of them; one that fails is logged, the others still hear it."""

    def tell(*what: Any) -> None:
        for hear in hears:
            try:
                hear(*what)
            except Exception:
                log.exception("An observer failed at %r", event)

    return tell
