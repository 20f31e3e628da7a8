"""What a job is, as it is kept: one item of a hidden stream while it is to be done, another when it has
ended.

Owns the shapes and the names of the streams. Knows no queue and no store.

- `headwater.jobs`, a group for each step: what waits, runs, or is to be tried again.
- `headwater.payloads`, beside it: the data of those whose data is large, so that a claim rewrites none of it.
- `headwater.kept`, a group for each run: the results of its steps that are not done again.
- `headwater.done` and `headwater.dead`: what has ended well, and what was given up, for a time and a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import orjson

from headwater.config import WorkSettings
from headwater.jsonvalue import text_to_keep
from headwater.streams.catalog import StreamRules

JOBS = "headwater.jobs"
PAYLOADS = "headwater.payloads"
DONE = "headwater.done"
DEAD = "headwater.dead"
KEPT = "headwater.kept"

INLINE_BYTES = 1024
"""A payload up to this size lies in the job itself: to write it again at a retry costs less than an item of
its own costs each job."""

Status = Literal["queued", "running", "retrying", "cancelling"]


def streams_of_work(settings: WorkSettings) -> tuple[StreamRules, ...]:
    """The hidden streams that work is kept in."""
    return (
        StreamRules(name=JOBS, hidden=True, history="none"),
        StreamRules(name=PAYLOADS, hidden=True, history="none"),
        StreamRules(
            name=DONE,
            hidden=True,
            history="none",
            ttl=settings.finished_age,
            keep_newest=settings.finished_count,
        ),
        StreamRules(name=KEPT, hidden=True, history="none"),
        StreamRules(name=DEAD, hidden=True, history="none", ttl=settings.dead_age),
    )


class Place(NamedTuple):
    """An item of a stream."""

    stream: str
    group: str
    item: str


class Job(NamedTuple):
    """One event on its way to one step.

    `begun`: an attempt has begun, counted or not. `owns`: the items that the run has claimed.

    `id` is also its run's. `queue` names the step. `lane` is what is kept in order (fifo), None for nothing.
    Times are wall times in seconds. `attempts` counts those begun, the running one among them. `depth` counts
    the reactions that led to it, `links` the events, each emitted by the handler of the one before. `auth` is
    the context of whose request caused it, as JSON text. `data` is the payload as JSON text where it lies in
    the job, None where it lies beside it.
    """

    id: str
    queue: str
    topic: str
    at: float
    due: float
    status: Status = "queued"
    attempts: int = 0
    lane: str | None = None
    trace: str = ""
    depth: int = 0
    error: str = ""
    begun: bool = False
    owns: tuple[Place, ...] = ()
    data: bytes | None = None
    auth: bytes | None = None
    links: int = 0

    def encode(self) -> bytes:
        """The item's text."""
        members: dict[str, Any] = {
            "id": self.id,
            "step": self.queue,
            "topic": self.topic,
            "status": self.status,
            "attempts": self.attempts,
            "at": self.at,
            "due": self.due,
            "trace": self.trace,
        }
        if self.lane is not None:
            members["group"] = self.lane
        if self.depth:
            members["depth"] = self.depth
        if self.links > 1:
            members["links"] = self.links
        if self.error:
            members["error"] = self.error
        if self.begun:
            members["begun"] = True
        if self.owns:
            members["owns"] = [list(place) for place in self.owns]
        if self.auth is not None:
            members["auth"] = orjson.Fragment(self.auth)
        text = text_to_keep(members)
        return text if self.data is None else b'%b,"data":%b}' % (text[:-1], self.data)


def decode(queue: str, text: bytes) -> Job:
    """The job of an item's text; the reverse of `encode`."""
    members: dict[str, Any] = orjson.loads(text)
    data = orjson.dumps(members["data"]) if "data" in members else None
    return Job(
        id=members["id"],
        queue=queue,
        topic=members["topic"],
        at=members["at"],
        due=members["due"],
        status=members["status"],
        attempts=members["attempts"],
        lane=members.get("group"),
        trace=members["trace"],
        depth=members.get("depth", 0),
        error=members.get("error", ""),
        begun=members.get("begun", False),
        owns=tuple(Place(*place) for place in members.get("owns", ())),
        data=data,
        auth=orjson.dumps(members["auth"]) if "auth" in members else None,
        links=members.get("links", 1),
    )


def with_payload(job: Job, payload: bytes) -> Job:
    """The job of that payload: with it inside where it is small."""
    return job._replace(data=payload if len(payload) <= INLINE_BYTES else None)


class Accepted(NamedTuple):
    """What became of jobs that were to be accepted: their ids by queue. `repeated`: their key was used
    before, and these are the jobs of the first; nothing happened."""

    runs: Mapping[str, str] = MappingProxyType({})
    repeated: bool = False


class Ending(NamedTuple):
    """How a job ended. `ended` is wall time in seconds; a dead one has an error, with code, message and
    traceback."""

    status: Literal["done", "dead", "cancelled"]
    ended: float
    code: str = ""
    message: str = ""
    traceback: str = ""


def ended(job: Job, ending: Ending, payload: bytes | None) -> bytes:
    """The text of the item that is left of a job; a dead one keeps its payload."""
    members: dict[str, Any] = {
        "id": job.id,
        "step": job.queue,
        "topic": job.topic,
        "status": ending.status,
        "attempts": job.attempts,
        "at": job.at,
        "ended": ending.ended,
        "trace": job.trace,
    }
    if job.lane is not None:
        members["group"] = job.lane
    if job.depth:
        members["depth"] = job.depth
    if job.auth is not None and payload is not None:
        members["auth"] = orjson.Fragment(job.auth)
    if ending.code:
        members["error"] = {
            "code": ending.code,
            "message": ending.message,
            "traceback": ending.traceback,
        }
    text = text_to_keep(members)
    return text if payload is None else b'%b,"data":%b}' % (text[:-1], payload)


def payload_item(job: str, data: bytes) -> bytes:
    """The text of the item that holds a large payload."""
    return b'{"id":%b,"data":%b}' % (orjson.dumps(job), data)
