"""What a handler may do with its run: `ctx.step`, which keeps results over attempts, and `ctx.owns`.

Owns the numbering of kept steps and what a step gives back. `calls.py` owns the way to the server.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Mapping
from typing import Any

from headwater.errors import InvalidInput
from headwater.worker.calls import Call, Calls, Service
from headwater.worker.invocation import Invocation
from headwater.worker.items import StreamItem
from headwater.worker.values import from_json, to_json

MISSING: Any = object()
"""What a step that was not kept gives."""


class Run:
    """The run that an invocation is an attempt at. A request has none: its steps are done and not kept."""

    __slots__ = ("_calls", "_invocation", "_open", "_uses")

    def __init__(self, calls: Calls, invocation: Invocation) -> None:
        self._calls = calls
        self._invocation = invocation
        self._uses: dict[str, int] = {}
        self._open: set[str] = set()

    def step(self, name: str, function: Callable[..., Any], *arguments: Any) -> KeptStep:
        """Do something once in the run, however often it is tried: `await ctx.step("name", fn)` gives what
        `fn` gave, and a later attempt is given that again, as JSON. In plain code ask its `result()`.

        The nth use of a name in one attempt is its own; uses at the same time need names of their own. What
        raises is not kept.
        """
        return KeptStep(self, name, function, arguments)

    def owns(self, item: Any) -> Call:
        """Claim an item that a stream gave: whoever may read it may stop this run by it.

        :raises InvalidInput: it is no item of a stream.
        """
        if not isinstance(item, StreamItem):
            raise InvalidInput(
                f"ctx.owns takes an item that a stream gave, not a value of type {type(item).__name__}.",
                hint="item = await ctx.streams.x.set(group, id, data); await ctx.owns(item)",
            )
        where = {"stream": item.stream, "group": item.group, "item": item.item_id}
        return self._calls.begin(self._invocation, SERVICE, "own", {**self._members(), **where})

    def begin(self, name: str) -> str:
        """The name under which this use of a step is kept.

        :raises InvalidInput: it is no name, or a use of it is under way.
        """
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInput(
                "A step needs a name that is a non-empty text.", hint='ctx.step("summary", fn)'
            )
        if name in self._open:
            raise InvalidInput(
                f'The step "{name}" is under way already.',
                hint="Steps at the same time need names of their own.",
            )
        self._open.add(name)
        self._uses[name] = self._uses.get(name, 0) + 1
        return f"{name}#{self._uses[name]}"

    def end(self, name: str) -> None:
        """This use of a step has ended."""
        self._open.discard(name)

    def kept(self, name: str) -> Call | None:
        """The question what an earlier attempt kept; None where there was none."""
        if not self._invocation.run or not self._invocation.resumed:
            return None
        return self._calls.begin(self._invocation, SERVICE, "kept", {**self._members(), "name": name})

    def keep(self, name: str, value: Any) -> Call | None:
        """Keep a value; None where there is no run.

        :raises InvalidInput: it is no JSON.
        """
        if not self._invocation.run:
            return None
        text = to_json(value, "result")
        members = {**self._members(), "name": name}
        return self._calls.begin(self._invocation, SERVICE, "keep", members, lambda: text)

    def _members(self) -> dict[str, Any]:
        return {"run": self._invocation.run, "attempt": self._invocation.attempt}


class KeptStep:
    """A step of a run, to be awaited once; in plain code, ask its `result()`."""

    __slots__ = ("_arguments", "_function", "_name", "_run")

    def __init__(self, run: Run, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._run = run
        self._name = name
        self._function = function
        self._arguments = arguments

    def __await__(self) -> Generator[Any, None, Any]:
        return self._do().__await__()

    async def _do(self) -> Any:
        key = self._run.begin(self._name)
        try:
            asked = self._run.kept(key)
            found = MISSING if asked is None else await asked
            if found is not MISSING:
                return found
            value = self._function(*self._arguments)
            if inspect.isawaitable(value):
                value = await value
            keeping = self._run.keep(key, value)
            if keeping is not None:
                await keeping
            return value
        finally:
            self._run.end(self._name)

    def result(self) -> Any:
        """Do it in plain `def` code and give its result.

        :raises InvalidInput: `fn` is async; await the step in an async handler.
        """
        key = self._run.begin(self._name)
        try:
            asked = self._run.kept(key)
            found = MISSING if asked is None else asked.result()
            if found is not MISSING:
                return found
            value = self._function(*self._arguments)
            if asyncio.iscoroutine(value):
                value.close()
                raise InvalidInput(
                    f'The step "{self._name}" is async.', hint="Make the handler async and await the step."
                )
            keeping = self._run.keep(key, value)
            if keeping is not None:
                keeping.result()
            return value
        finally:
            self._run.end(self._name)


def _check(_method: str, _members: Mapping[str, Any]) -> None:
    """All members are this module's own."""


def _read(_about: Mapping[str, Any], text: bytes | None, _versions: list[int]) -> Any:
    return MISSING if text is None else from_json(text)["value"]


SERVICE = Service("runs", ("name",), _check, _read)
