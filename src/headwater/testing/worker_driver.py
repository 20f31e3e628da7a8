"""Drives one worker process over its socket, as the server would. Owns the process and a small stand-in for
the streams; knows no scenario and no test framework.

Everything waits with a deadline and blocks the calling thread: a scenario reads like the conversation it is.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import orjson

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Source

PATIENCE = 10.0
"""Seconds that a worker may take for anything, unless a scenario says otherwise."""


class StandInStreams:
    """Streams in a dict, enough to answer the calls of a worker: versions, creation order, no schema."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, str], dict[str, tuple[dict[str, Any], int]]] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.events: list[tuple[str, str, str | None, Any]] = []
        self.revoked: list[tuple[str, str, str, str]] = []

    def answer(self, message: Message) -> Message:
        """The `result` of a call."""
        header = message.header
        data: Any = orjson.loads(message.sections[0]) if message.sections else None
        number: int = header["id"]
        item: Any = header.get("item")
        key = (header["stream"], header["group"])
        group = self.groups.setdefault(key, {})
        match header["method"]:
            case "get":
                return _one(number, group.get(item))
            case "get_group":
                listed = list(group.values())
                text = orjson.dumps([value for value, _ in listed])
                return protocol.call_result(number, text, [version for _, version in listed])
            case "send":
                self.events.append((*key, item, data))
                return protocol.call_result(number, None)
            case "revoke" | "restore" as method:
                self.revoked.append((method, *key, header["user"]))
                return protocol.call_result(number, None)
            case "delete":
                return _one(number, group.pop(item, None))
            case "update":
                return self._write(header, key, _updated(group.get(item), data))
            case _:
                return self._write(header, key, data)

    def _write(self, header: Mapping[str, Any], key: tuple[str, str], data: Any) -> Message:
        group, number, item = self.groups[key], header["id"], header["item"]
        current = group[item][1] if item in group else 0
        if header.get("if_version", current) != current:
            error = {"code": "CONFLICT", "message": f"The item is at version {current}.", "version": current}
            return protocol.failure(number, error)
        if not isinstance(data, dict) or cast(dict[str, Any], data).get("refuse"):
            fault = {"field": "refuse", "message": "is not allowed"}
            error = {"code": "SCHEMA_MISMATCH", "message": "The data breaks the schema.", "faults": [fault]}
            return protocol.failure(number, error)
        version = self.versions[key] = self.versions.get(key, 0) + 1
        group[item] = ({**cast(dict[str, Any], data), "id": item}, version)
        return _one(number, group[item])


class StandInEvents:
    """Takes what is emitted, and says that it was accepted, each by one step."""

    def __init__(self) -> None:
        self.emitted: list[dict[str, Any]] = []

    def answer(self, message: Message) -> Message:
        """The `result` of a call."""
        members = {name: message.header.get(name) for name in ("topic", "group", "delay", "key", "unknown")}
        given = {name: value for name, value in members.items() if value is not None}
        self.emitted.append({**given, "data": orjson.loads(message.sections[0])})
        accepted = {"runs": {"Taker": f"run-{len(self.emitted)}"}, "repeated": "key" in given}
        return protocol.call_result(message.header["id"], orjson.dumps(accepted))


def _updated(current: tuple[dict[str, Any], int] | None, operations: Any) -> dict[str, Any]:
    """Knows `set` of one field alone."""
    data = dict(current[0]) if current else {}
    for operation in operations:
        data[operation["path"]] = operation["value"]
    return data


def _one(number: int, item: tuple[dict[str, Any], int] | None) -> Message:
    if item is None:
        return protocol.call_result(number, None)
    return protocol.call_result(number, orjson.dumps(item[0]), [item[1]])


def project_sources(project: Path) -> list[Source]:
    """Every file of a project folder, as the server would send it."""
    paths = sorted(path.relative_to(project) for path in project.rglob("*") if path.is_file())
    sources = [path for path in paths if not any(_is_made(part) for part in path.parts)]
    return [Source(path.as_posix(), (project / path).read_bytes()) for path in sources]


def _is_made(name: str) -> bool:
    """Whether a folder of this name holds what workers keep, and no source."""
    return name == "__pycache__" or name.startswith(".")


class WorkerDriver:
    """One started worker. A context manager: the process is gone when it is left.

    `command` starts a worker; `environment` is added to this process's own.
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self._socket, theirs = socket.socketpair()
        variables = {**os.environ, **(environment or {}), protocol.FD_VARIABLE: str(theirs.fileno())}
        self.process = subprocess.Popen(
            list(command),
            env=variables,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._output: str | None = None
        theirs.close()
        self._decoder = protocol.Decoder("worker")
        self._unread: list[Message] = []
        self._numbers = 0
        self.streams = StandInStreams()
        self.events = StandInEvents()
        self.services: dict[str, Callable[[Message], Message]] = {
            "streams": self.streams.answer,
            "events": self.events.answer,
        }
        self.answering = True
        self.seen: list[Message] = []
        self.manifest: Message = protocol.manifest(0, [], [], [])

    @property
    def has_lanes(self) -> bool:
        """Whether the worker said that it runs invocations marked `thread` beside its loop."""
        return bool(self.seen) and self.seen[0].header.get("lanes") is True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        self._socket.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
        text = self.output()
        if kind is not None:
            print(f"--- output of the worker ---\n{text}--- messages ---")
            for message in self.seen:
                print(str(message.header)[:1000])

    # --- talking ---

    def send(self, message: Message) -> None:
        """Write a message."""
        for buffer in protocol.encode(message):
            self._socket.sendall(buffer)

    def send_bytes(self, data: bytes) -> None:
        """Write raw bytes."""
        self._socket.sendall(data)

    def close_socket(self) -> None:
        """Leave, as a server does that dies."""
        self._socket.close()

    def read(self, timeout: float = PATIENCE) -> Message | None:
        """The next message; None when the worker has closed its end.

        Calls are answered by the stand-in streams on the way, unless `answering` is off.

        :raises TimeoutError: none came in time.
        """
        deadline = time.monotonic() + timeout
        while not self._unread:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"The worker said nothing for {timeout} s; so far: {self._said()}")
            try:
                data = self._socket.recv(1 << 18)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._unread.extend(self._decoder.feed(data))
        message = self._unread.pop(0)
        self.seen.append(message)
        if message.type == "call" and self.answering:
            self.send(self.answer(message))
        return message

    def answer(self, call: Message) -> Message:
        """The `result` of a call, from the service that it names."""
        return self.services[call.header["service"]](call)

    def _said(self) -> list[str]:
        return [message.type for message in self.seen]

    def wait_for(
        self, kind: str, number: int | None = None, *, timeout: float = PATIENCE, **members: Any
    ) -> Message:
        """The next message of that type (and id, and members); what comes before it is kept in `seen`.

        :raises TimeoutError: it did not come in time.
        :raises EOFError: the worker has closed its end.
        """
        wanted = {**members, **({} if number is None else {"id": number})}
        return self.wait_until(
            lambda message: (
                message.type == kind
                and all(message.header.get(name) == value for name, value in wanted.items())
            ),
            timeout=timeout,
        )

    def wait_until(self, matches: Callable[[Message], bool], *, timeout: float = PATIENCE) -> Message:
        """The next message that matches. Raises as `wait_for` does."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.read(max(0.01, deadline - time.monotonic()))
            if message is None:
                raise EOFError(f"The worker has closed its end; so far: {self._said()}")
            if matches(message):
                return message

    def wait_for_all(self, kind: str, numbers: Iterable[int], *, timeout: float = PATIENCE) -> list[Message]:
        """A message of that type for each of the ids, in the order in which they come.

        Raises as `wait_for` does; `timeout` is for each.
        """
        missing = set(numbers)
        found: list[Message] = []
        while missing:
            found.append(
                self.wait_until(
                    lambda message: message.type == kind and message.header["id"] in missing, timeout=timeout
                )
            )
            missing.discard(found[-1].header["id"])
        return found

    def of_type(self, kind: str) -> list[Message]:
        """All messages of that type so far."""
        return [message for message in self.seen if message.type == kind]

    # --- the usual conversations ---

    def load(self, root: Path, sources: Sequence[Source] | None = None) -> Message:
        """Load a project and give the manifest, after which the stream names are told."""
        given = project_sources(root) if sources is None else sources
        self.send(protocol.load(1, str(root), ["steps", "src"], given))
        self.manifest = self.wait_for("manifest", timeout=30.0)
        return self.manifest

    def file_of(self, name: str) -> str:
        """The file that declares the step or stream of that name."""
        header = self.manifest.header
        entries: list[dict[str, Any]] = [*header["steps"], *header["streams"]]
        for entry in entries:
            if entry["config"].get("name") == name:
                return cast(str, entry["file"])
        raise LookupError(f'No file declares "{name}"; problems: {header["problems"]}')

    def number(self) -> int:
        """A new number for an invocation."""
        self._numbers += 1
        return self._numbers

    def call_step(
        self,
        name: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        body_kind: str = "json",
        thread: bool = False,
        request: Mapping[str, Any] | None = None,
        whose: Mapping[str, Any] | None = None,
    ) -> int:
        """Send an api invocation of a step and give its number. `raw` stands for the body as it is, `whose`
        are the members that say who caused it."""
        number = self.number()
        task = protocol.Task(number, self.file_of(name), name, f"trace-{number}", ("main",), thread)
        members: dict[str, Any] = {
            "method": "POST",
            "path": "/",
            "pathParams": {},
            "queryParams": {},
            "headers": {},
        }
        content = orjson.dumps(body) if raw is None else raw
        told = {"request": {**members, "body_kind": body_kind, **(request or {})}, **(whose or {})}
        self.send(protocol.invoke(task, "api", told, (content,)))
        return number

    def run_step(self, name: str, body: Any = None, **more: Any) -> Message:
        """Run a step to its end and give the `result`."""
        return self.wait_for("result", self.call_step(name, body, **more))

    def begin_work(
        self, name: str, kind: str, *, data: Any = None, attempt: int = 1, resumed: bool = False
    ) -> int:
        """Send an invocation of an event or cron step and give its number."""
        number = self.number()
        task = protocol.Task(number, self.file_of(name), name, f"trace-{number}")
        sections = (orjson.dumps(data),) if kind == "event" else ()
        members = {"run": f"run-{number}", "attempt": attempt, "resumed": resumed}
        self.send(protocol.invoke(task, kind, members, sections))
        return number

    def run_work(self, name: str, kind: str, **more: Any) -> Message:
        """Run an event or cron step to its end and give the `result`."""
        return self.wait_for("result", self.begin_work(name, kind, **more))

    def ask_access(
        self,
        stream: str,
        *,
        group: str,
        item: str | None = None,
        auth: Any = None,
        kind: str = "access",
        change: Any = None,
    ) -> Message:
        """Ask a function of a stream that says who may do what, and give the `result`. `change` is what would
        be written or sent."""
        number = self.number()
        task = protocol.Task(number, self.file_of(stream), "", f"trace-{number}")
        asked = {"stream": stream, "group": group, "item": item, "auth": auth}
        sections = () if change is None else (orjson.dumps(change),)
        self.send(protocol.invoke(task, kind, asked, sections))
        return self.wait_for("result", number)

    def output(self) -> str:
        """What the worker printed until its end, for which this waits."""
        if self._output is None:
            self._output = self.process.communicate(timeout=PATIENCE)[0].decode(errors="replace")
        return self._output


def body_of(result: Message) -> Any:
    """The JSON body of an api result."""
    return orjson.loads(result.sections[0])


def text_of(result: Message) -> str:
    """The text body of an api result."""
    assert result.header["body_kind"] == "text", result.header
    return bytes(result.sections[0]).decode()
