"""Middleware around a handler. Owns the order and the bridges between async and plain functions.

Async functions run on the loop that runs the chain, plain ones in a thread. `next()` in an async middleware
is awaited; in a plain one it simply returns the inner response. So a chain that mixes them runs in a task, in
a thread for which that task waits, in another task for which that thread waits, and so on; the invocation
knows them all (`within`). Knows no message.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, NamedTuple, cast

from headwater.worker.invocation import Invocation
from headwater.worker.loop import INVOCATION
from headwater.worker.threads import Threads

Function = Callable[..., Any]


def is_async(function: Function) -> bool:
    """Whether calling it gives something to await: coroutine functions, also partial and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )


class Link(NamedTuple):
    """One function of a chain. `may_be_async`: plain, but it wraps an async one and perhaps hands on what
    that one gives."""

    function: Function
    is_async: bool
    may_be_async: bool = False


def links(functions: Sequence[Function]) -> tuple[Link, ...]:
    """A chain of middleware functions, the handler last."""
    return tuple(Link(function, is_async(function), is_async(_wrapped(function))) for function in functions)


def _wrapped(function: Function) -> Function:
    try:
        return inspect.unwrap(function)
    except ValueError:
        return function


def is_plain(chain: Sequence[Link]) -> bool:
    """Whether no function of the chain is async, so that it needs no loop."""
    return not any(link.is_async or link.may_be_async for link in chain)


def run_plain(chain: Sequence[Link], arguments: tuple[Any, ...], at: int = 0) -> Any:
    """Run a chain without async functions in this thread."""
    function = chain[at].function
    if at == len(chain) - 1:
        return function(*arguments)
    return function(*arguments, lambda: run_plain(chain, arguments, at + 1))


class AsyncChain:
    """One run of a chain on the running loop."""

    def __init__(
        self, threads: Threads, invocation: Invocation, chain: Sequence[Link], arguments: tuple[Any, ...]
    ) -> None:
        self._threads = threads
        self._within = invocation.within
        self._owner = invocation.file
        self._chain = chain
        self._arguments = arguments
        self._loop = asyncio.get_running_loop()
        self._inner: list[Future[Any]] = []

    async def run(self, at: int = 0) -> Any:
        """Run it from the function at that place on, and give the response."""
        link = self._chain[at]
        last = at == len(self._chain) - 1
        if link.is_async:
            following = () if last else (lambda: self.run(at + 1),)
            result = await link.function(*self._arguments, *following)
        else:
            following = () if last else (lambda: self._run_inner(at + 1),)
            result = await self._in_thread(at, functools.partial(link.function, *self._arguments, *following))
        if type(result) is dict:  # pyright: ignore[reportUnknownArgumentType]
            return cast(Any, result)  # Nearly always; to ask whether it can be awaited takes longer.
        # A plain function may hand on what an async one gave it.
        return await result if inspect.isawaitable(result) else result

    def _run_inner(self, at: int) -> Any:
        """The rest of the chain, for a plain middleware that waits in its thread."""
        if is_plain(self._chain[at:]):
            return run_plain(self._chain, self._arguments, at)
        inner = asyncio.run_coroutine_threadsafe(self._run_inner_task(at), self._loop)
        self._inner.append(inner)
        return inner.result()

    async def _run_inner_task(self, at: int) -> Any:
        task = cast(asyncio.Task[Any], asyncio.current_task())
        task.set_name(INVOCATION)
        self._within.append(task)
        try:
            return await self.run(at)
        finally:
            self._within.remove(task)

    async def _in_thread(self, at: int, work: Callable[[], Any]) -> Any:
        done: asyncio.Future[Any] = self._loop.create_future()
        context = copy_context()

        def job() -> None:
            thread = threading.get_ident()
            self._within.append(thread)
            try:
                settle = functools.partial(_succeed, done, context.run(work))
            except BaseException as error:
                settle = functools.partial(_fail, done, error)
            self._within.remove(thread)
            self._loop.call_soon_threadsafe(settle)

        inner = not all(link.is_async for link in self._chain[:at])
        self._threads.submit(job, self._owner, inner=inner)
        try:
            return await done
        except asyncio.CancelledError:
            # The thread cannot be stopped, but what it waits for can.
            for waited in self._inner:
                waited.cancel()
            raise


def _succeed(done: asyncio.Future[Any], value: Any) -> None:
    if not done.done():
        done.set_result(value)


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        # Thrown into a coroutine, these two would mean something else than an error.
        odd = isinstance(error, StopIteration | GeneratorExit)
        done.set_exception(RuntimeError(f"{error!r} was raised") if odd else error)
