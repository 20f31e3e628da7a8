"""Calls to the server: begun at once, settled from whichever thread reads, awaited from anywhere.

Owns the numbering of calls and what a method of a service returns. Knows the messages, not what they mean:
that is the service's (`streams.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from headwater.errors import HeadwaterError, InvalidInput, RunLost, TimedOut
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.worker.faults import error_from

if TYPE_CHECKING:
    from headwater.worker.invocation import Invocation

Driver = Generator[Any, Any, Any]

_lock = threading.Lock()
"""Guards the waiters of every call; held for a few instructions only."""


class Service(NamedTuple):
    """What calls must know of a service. `about` names the members that say what a call is about; `check`
    refuses members of wrong types, with the method they are for; `read` makes the value of a result from the
    call's members, its JSON text (None for null) and the versions of the items in it."""

    name: str
    about: tuple[str, ...]
    check: Callable[[str, Mapping[str, Any]], None]
    read: Callable[[Mapping[str, Any], bytes | None, list[int]], Any]


class Call:
    """A read or write that has begun.

    Await it, once or often, from any task, thread or loop; wrap it in a task, `gather` or `wait_for` it; or
    ask `result()` in plain code. Giving up on waiting does not undo it. Left alone, its failure is logged.
    """

    __slots__ = (
        "_drivers",
        "_members",
        "_read",
        "_service",
        "_settled",
        "_text",
        "_value",
        "_versions",
        "_waiters",
        "error",
        "method",
        "observed",
        "place",
    )

    def __init__(
        self, service: Service, method: str, members: Mapping[str, Any], place: tuple[str, int]
    ) -> None:
        self.method = method
        self.place = place
        self._service = service
        self._members = members
        self.observed = False
        self.error: Mapping[str, Any] | None = None
        self._settled = False
        self._text: bytes | None = None
        self._versions: list[int] = []
        self._value: Any = None
        self._read = False
        self._waiters: list[Callable[[], None]] = []
        self._drivers: dict[Any, Driver] = {}

    def __repr__(self) -> str:
        state = "failed" if self.error else "done" if self._settled else "begun"
        about = "/".join(map(str, self.about.values()))
        return f"<Call {self.method} {about}: {state}; await it, or ask its result()>"

    @property
    def about(self) -> dict[str, Any]:
        """The members that say what it is about, for people."""
        return {name: self._members[name] for name in self._service.about}

    def done(self) -> bool:
        """Whether it is settled."""
        return self._settled

    def result(self, timeout: float | None = None) -> Any:
        """Wait in plain `def` code, at most `timeout` seconds, and give what an await would give.

        :raises TimedOut: it is not settled yet (it still takes effect).
        :raises InvalidInput: asked on the loop that runs async handlers, where waiting would stop them all.
        :raises HeadwaterError: the call failed.
        """
        if not self._settled:
            _refuse_on_user_loop(self)
            settled = threading.Event()
            if self._add(settled.set) and not settled.wait(timeout):
                self._remove(settled.set)
                raise TimedOut(f"{self.method} has no result after {timeout} s.", seconds=timeout)
        return self._outcome()

    def __await__(self) -> Generator[Any, None, Any]:
        self.observed = True
        if not self._settled:
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()

            def wake() -> None:
                if loop is user_loop and threading.get_ident() == user_thread:
                    _release(waiter)
                    return
                try:
                    loop.call_soon_threadsafe(_release, waiter)
                except RuntimeError:
                    pass  # that loop is closed: nobody waits there any more

            if self._add(wake):
                try:
                    yield from waiter
                finally:
                    self._remove(wake)
        return self._outcome()

    # A coroutine in the eyes of asyncio, so that create_task and asyncio.run take it. Each task that drives
    # it has a driver of its own: two tasks may wait for the same call.

    def send(self, value: Any) -> Any:
        """Part of the coroutine interface; use `await`."""
        return self._drive(lambda driver: driver.send(value))

    def throw(self, kind: Any, value: Any = None, trail: TracebackType | None = None) -> Any:
        """Part of the coroutine interface; use `await`."""
        error: BaseException = kind if isinstance(kind, BaseException) else (value or kind())
        return self._drive(lambda driver: driver.throw(error.with_traceback(trail or error.__traceback__)))

    def close(self) -> None:
        """Part of the coroutine interface; the call goes on."""
        driver = self._drivers.pop(_task(), None)
        if driver is not None:
            driver.close()

    def _drive(self, step: Callable[[Driver], Any]) -> Any:
        task = _task()
        driver = self._drivers.get(task)
        if driver is None:
            driver = self._drivers[task] = self.__await__()
        try:
            return step(driver)
        except BaseException:
            self._drivers.pop(task, None)
            raise

    def _add(self, waiter: Callable[[], None]) -> bool:
        with _lock:
            if not self._settled:
                self._waiters.append(waiter)
            return not self._settled

    def _remove(self, waiter: Callable[[], None]) -> None:
        with _lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _outcome(self) -> Any:
        self.observed = True
        if self.error is not None:
            raise error_from(self.error)
        if not self._read:
            self._value = self._service.read(self._members, self._text, self._versions)
            self._text = None
            self._read = True
        return self._value

    def succeed(self, text: bytes | None, versions: list[int]) -> None:
        """Settle it with the JSON text of its value."""
        self._text = text
        self._versions = versions
        self._settle()

    def fail(self, error: Mapping[str, Any]) -> None:
        """Settle it with an `error` of the protocol."""
        self.error = error
        self._settle()

    def _settle(self) -> None:
        with _lock:
            self._settled = True
            waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()


def _task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return threading.get_ident()


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


user_loop: asyncio.AbstractEventLoop | None = None
"""The loop of the async handlers; set once, when the process starts."""

user_thread = 0
"""The thread that it runs in."""


def _refuse_on_user_loop(call: Call) -> None:
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if running is user_loop:
        raise InvalidInput(
            f"result() of {call.method} was asked inside an async function, where waiting stops all others.",
            hint="Write `await` instead, or make the handler a plain `def`.",
        )


class Calls:
    """All calls of the process that are on their way. `send` writes a message; `on_lost` hears of failed
    calls that belong to no running invocation."""

    def __init__(self, send: Callable[[Message], None], on_lost: Callable[[Invocation, Call], None]) -> None:
        self._send = send
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._pending: dict[int, tuple[Call, Invocation, bool]] = {}

    def begin(
        self,
        invocation: Invocation,
        service: Service,
        method: str,
        members: Mapping[str, Any],
        data: Callable[[], bytes] | None = None,
    ) -> Call:
        """Begin a call: when this returns it is on the socket. `data` makes the JSON text to send.

        User code has called whoever calls this: where it did is the call's place. Nothing raises here: what
        is wrong with the values settles the call, as what the server refuses does.
        """
        caller = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
        call = Call(service, method, members, (caller.f_code.co_filename, caller.f_lineno))
        number = next(self._numbers)
        counted = invocation.call_begins()
        header = {"id": number, "service": service.name, "method": method, **members}
        header |= {"invocation": invocation.id} if counted else invocation.late()
        self._pending[number] = (call, invocation, counted)
        try:
            if invocation.cancelled and invocation.plain and invocation.run:
                # Nothing stops a plain function; what it writes after its run was cancelled must not count.
                raise RunLost("The run was cancelled; what its handler still does has no effect.")
            service.check(method, members)
            self._send(protocol.call(header, data() if data else None))
        except HeadwaterError as error:
            self._fail(number, error.to_dict())
        return call

    def settle(self, message: Message) -> None:
        """Take the server's answer to a call."""
        header = message.header
        if not header["ok"]:
            self._fail(header["id"], header.get("error") or {})
        elif (pending := self._pending.pop(header["id"], None)) is not None:
            call, invocation, counted = pending
            call.succeed(message.section("value_section"), header.get("versions") or [])
            if counted:
                invocation.call_ends(call)

    def _fail(self, number: int, error: Mapping[str, Any]) -> None:
        pending = self._pending.pop(number, None)
        if pending is None:
            return
        call, invocation, counted = pending
        call.fail(error)
        if counted:
            invocation.call_ends(call)
        elif not call.observed:
            self._on_lost(invocation, call)
