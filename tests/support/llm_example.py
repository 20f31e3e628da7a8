"""The examples that chat with a language model: a copy that runs, and an endpoint whose pace a test sets."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx

from headwater.client import connect
from support.command import Server, serving
from support.tree import ROOT

EXAMPLES = ROOT / "examples"
DEADLINE = 30.0


def _local_model() -> ModuleType:
    file = EXAMPLES / "llm-chat" / "local_model.py"
    spec = importlib.util.spec_from_file_location("llm_example_local_model", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


local_model = _local_model()
"""The example's own endpoint, as a module."""


class Gate:
    """Lets tokens of an endpoint through: as many as were granted, or all once it is open."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._granted = 0
        self._open = False

    def grant(self, tokens: int) -> None:
        """Let so many more through."""
        with self._changed:
            self._granted += tokens
            self._changed.notify_all()

    def open(self) -> None:
        """Let all through from now on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def pace(self, _: int) -> None:
        """Wait for one token's leave."""
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._granted > 0, DEADLINE)
            self._granted -= 1


class Endpoint:
    """The example's endpoint in this process, at the test's pace."""

    def __init__(self, key: str = "") -> None:
        self.gate = Gate()
        self.model = local_model.LocalModel(pace=lambda number: self.gate.pace(number), key=key)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that make an example ask it."""
        return {"LLM_BASE_URL": self.model.url, "LLM_API_KEY": self.model.key}

    def shut(self) -> None:
        """Begin anew: what is under way ends, and what is asked from now on waits for leave."""
        self.gate.open()
        self.gate = Gate()

    async def has_been_left(self, before: int) -> None:
        """Wait until one more answer is left than `before` (see `model.left`); it notices as it sends on."""
        async with asyncio.timeout(DEADLINE):
            while self.model.left <= before:
                self.gate.grant(1)
                await asyncio.sleep(0.01)

    def close(self) -> None:
        """Let all end, and serve no more."""
        self.gate.open()
        self.model.close()


@contextmanager
def endpoint(key: str = "") -> Iterator[Endpoint]:
    """An endpoint while the context lasts; it wants this key, if any."""
    made = Endpoint(key)
    try:
        yield made
    finally:
        made.close()


def example(name: str, folder: Path) -> Path:
    """A copy of an example, without what running it has left there."""
    left = shutil.ignore_patterns(".headwater", ".env", "__pycache__", "node_modules")
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=left))


@contextmanager
def chatting(project: Path, *arguments: str, **settings: str) -> Iterator[Server]:
    """The server of such an example, with these settings in its `.env`."""
    (project / ".env").write_text("".join(f"{name}={text}\n" for name, text in settings.items()))
    with serving("start", *(arguments or ("--port", "0")), cwd=project) as server:
        yield server


async def ask(server: Server, room: str, text: str) -> str:
    """Ask in a room; the id of the answer to come."""
    async with httpx.AsyncClient(timeout=DEADLINE) as client:
        asked = await client.post(f"{server.url}/rooms/{room}/messages", json={"text": text})
    assert asked.status_code == 202, asked.text
    return asked.json()["id"]


async def stop(server: Server, room: str, answer: str) -> None:
    """Stop an answer, as the page does: its run, or the answer itself where there is none."""
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE) as client:
        stopped = await client.post(f"/streams/messages/{room}/{answer}/cancel")
        if stopped.status_code == 404:
            stopped = await client.post(f"/rooms/{room}/messages/{answer}/stop")
    assert stopped.is_success, stopped.text


async def until(server: Server, room: str, answer: str, holds: Callable[[Any], bool]) -> Any:
    """The answer, as a client is shown it, as soon as that holds."""
    seen: Any = None
    try:
        async with asyncio.timeout(DEADLINE), connect(server.url) as client:
            async for seen in client.item("messages", room, answer):
                if seen is not None and holds(seen):
                    return seen
    except TimeoutError:
        raise AssertionError(f"the answer stayed {seen}\n{server.out.text}\n{server.err.text}") from None
    raise AssertionError("the server ended the subscription")


def ended(item: Any) -> bool:
    """Whether an answer has come to its end, good or bad."""
    return item["status"] in ("done", "error", "cancelled")
