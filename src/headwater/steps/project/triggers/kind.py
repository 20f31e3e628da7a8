"""What a kind of run is: all that `execute.py` must know of one to run it. Runs nothing.

A kind says how its input is checked, how the invocation is framed, how its result is read, how long it may
take, and whether it may wait for a worker among its like. Step types have one each, in their own
file; a kind without a step type (`access`) has a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar, cast

from headwater.config import Settings
from headwater.model import Origin
from headwater.protocol.workers.messages import Message, Task, whose
from headwater.schema import JsonSchema


class Runnable(Protocol):
    """What can be run: a step, or a stream with functions of its own. No two kinds of run of one file differ
    in what is declared, so a file and a kind name it."""

    @property
    def file(self) -> str:
        """The declaring file, relative to the project."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def flows(self) -> tuple[str, ...]:
        """The flows that it belongs to."""
        ...


Subject = TypeVar("Subject", bound=Runnable, contravariant=True)
Given = TypeVar("Given", contravariant=True)
Answer = TypeVar("Answer")
Checked = TypeVar("Checked", contravariant=True)

UNCHECKED: Final = object()
"""What a check is told to look at where there is nothing to look at."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Checked]):
    """A schema that something of a run must keep.

    `broken` says in words what breaks what, such as 'The body breaks the bodySchema'; `value` picks the JSON
    value to look at, or `UNCHECKED`.
    """

    schema: JsonSchema
    broken: str
    value: Callable[[Checked], Any]


class Attempt(NamedTuple):
    """One attempt at a job: its run, its number (1 at first), whether the run has begun before, the JSON text
    of its data, and what led to it."""

    run: str
    number: int
    resumed: bool
    data: bytes
    origin: Origin = Origin()

    def members(self) -> dict[str, Any]:
        """What an invocation of it tells the worker beside the data."""
        members = {"run": self.run, "attempt": self.number, "resumed": self.resumed}
        return {**members, **whose(self.origin)}


class Failure(Exception):
    """Why user code did not end well. `cause` is an error of the server that it let through, if any;
    `cancelled` tells that it was asked to stop and did."""

    def __init__(
        self,
        message: str,
        traceback: str = "",
        cause: Mapping[str, Any] = MappingProxyType({}),
        *,
        cancelled: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.traceback = traceback
        self.cause = cause
        self.cancelled = cancelled

    def without(self, secrets: Sequence[str]) -> Failure:
        """The same, saying none of these texts."""
        message, traceback = self.message, self.traceback
        for secret in sorted(secrets, key=len, reverse=True):
            message, traceback = message.replace(secret, "***"), traceback.replace(secret, "***")
        return Failure(message, traceback, self.cause, cancelled=self.cancelled)

    @classmethod
    def of(cls, result: Message) -> Failure:
        """What a failed `result` says."""
        error = _object(result.header.get("error"))
        said = (error.get("message") or "No reason was given.", error.get("hint"))
        return cls(
            " ".join(str(one) for one in said if one),
            str(error.get("traceback") or ""),
            _object(error.get("cause")),
            cancelled=error.get("cancelled") is True,
        )

    @property
    def reason(self) -> str:
        """The exception in one line, which ends a traceback or, in other languages, begins it; the message
        where there is none."""
        lines = self.traceback.splitlines()
        last = max((number for number, line in enumerate(lines) if line.startswith(" ")), default=-1)
        return next((line for line in (*lines[last + 1 :], *lines[:1]) if line), self.message)


def _object(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _no_checks(_subject: Any) -> Sequence[Check[Any]]:
    return ()


def _no_secrets(_given: Any) -> Sequence[str]:
    return ()


def _message(failure: Failure) -> str:
    return failure.message


@dataclass(frozen=True, slots=True)
class RunKind(Generic[Subject, Given, Answer]):
    """One kind of run, of a `Subject` with a `Given` as its input, that comes to an `Answer`.

    `name` is the kind's in the worker protocol. `frame` makes the message that starts it; it may raise
    TooLarge and what JSON refuses. `answer` reads a `result` that is ok, and raises HandlerFailed where it
    answers nothing of the sort. `seconds` is the time limit; None is none.

    `inputs` are what the input must keep, by the setting `steps.validation`; `answers` what the answer must,
    of which `dev` warns in the log. They are asked once for each subject.

    `waits`: while no worker is free it waits, among at most `max_waiting` of its kind; else it fails at once
    with Overloaded, and whoever runs it comes again. `told` is the line of the log about a failure of user
    code; None where whoever runs it tells what becomes of that.
    `often`: strangers can have it run as often as they like, so that the log need not hold each failure.
    `secrets` are texts of the input that no line of the log may hold.
    `instead` is answered in place of any failure, which then only the log tells; None raises it.
    """

    name: str
    frame: Callable[[Task, Subject, Given], Message]
    answer: Callable[[Settings, Message], Answer]
    seconds: Callable[[Settings, Subject], float | None]
    inputs: Callable[[Subject], Sequence[Check[Given]]] = _no_checks
    answers: Callable[[Subject], Sequence[Check[Answer]]] = _no_checks
    waits: bool = False
    told: Callable[[Failure], str] | None = _message
    often: bool = False
    instead: Answer | None = None
    secrets: Callable[[Given], Sequence[str]] = _no_secrets
