"""Runs the language-neutral scenarios of `spec/scenarios` against a real server, through a client library's
driver.

A scenario is a YAML file: `name` (a sentence), and `steps`, each a mapping with one key:

- `write: {set: ID, data: {...}}`, `{update: ID, ops: [...]}`, `{delete: ID}`, `{send: {type, data}, id?}`,
  each with `stream`, `group`, and for items `if_version`, `ttl`, `key` where given; `fails: CODE` where the
  write must be refused. A list of them is written in order; `times: N` repeats with `{n}` in texts counting
  from 1. `{revoke: USER}` takes the group away from a user, `{restore: USER}` gives it back. `{work: ID}`
  begins a run that claims the item, keeps its `status` in it ("running 1" in its first attempt) and ends when
  it is cancelled, or once its group has an item `end`.
- `subscribe: {as, client?, stream?, group?, id?, limit?, state?}`, `unsubscribe: {as}`, `more: {as, limit}`,
  `state: {as, state}`, `cancel: {as, id?}` (whoever follows a group names one of its items).
- `client_write: {as, set: ID, data: {...}}`, `{update: ID, ops: [...]}`, `{delete: ID}`, `{send: {type,
  data}, id?}`: a write by the client of a subscription, to its group, with `if_version`, `key` and `offline`
  where given. It is not waited for.
- `connect`, `cut`, `stall`, `unstall`: a client's name. Who subscribes is connected first. `connect: {client,
  tokens: [...]}` connects one whose token function answers these, the last one for ever; `NAME+SECONDS` is a
  token of NAME that expires so many seconds from now, null a failure.
- `server: restart` (a clean end), `kill` (SIGKILL) or `stop`, then `start`.
- `expect: {as, items?, live?, floor?, version?, events?, error?, answers?, resets?, tokens?, count?,
  last?, bytes_below?}`: true within the deadline; `answers` are those to cancels and writes, "ok", a version
  or a code, `tokens` how often the client has asked for one.
- `get: {path, status?, items?, item?}`: a plain GET below the streams' prefix; `{group}` stands for the
  scenario's own group.

`client` is `one`, `as` is `s`, `stream` is `room`, `group` is `g` where left out. Each scenario has groups of
its own.
"""

# ruff: noqa: S310 (the URLs are of the server that was started here)
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headwater.jsonvalue import is_list, is_object
from headwater.testing.scenario_project import write_project

DEADLINE = 60.0
"""Seconds for anything that a scenario waits for; a machine under load needs many times what it usually
takes."""
FIRST_LOOK, LAST_LOOK = 0.002, 0.02
"""Seconds between two looks at what is expected: most of it is true at once, the rest is not hurried."""


class Server:
    """A real server on a project of its own, which scenarios write to. For those with tokens it must know
    them, which costs each plain request a question to a worker."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = (sys.executable, "-m", "headwater"),
        *,
        knows_tokens: bool = False,
    ) -> None:
        self._folder = folder
        self._command = command
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        write_project(folder, knows_tokens=knows_tokens)

    def start(self) -> None:
        """Start it, on the port it had before if it had one."""
        port = self.url.rpartition(":")[2] or "0"
        environ = {key: value for key, value in os.environ.items() if not key.startswith("HEADWATER_")}
        self.process = self.launch(["start", str(self._folder), "--port", port], environ)
        said: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"Ready at (http://\S+)", line):
                self.url = found[1]
                return
        raise AssertionError("the server did not start:\n" + "".join(said))

    def launch(self, arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start the program with its output in a pipe. Another way to start it overrides this."""
        return subprocess.Popen(
            [*self._command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(environ),
        )

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, with a signal."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def write(self, writes: list[dict[str, Any]]) -> str:
        """Write in order. Answers the code of the error that refused one, empty when none was."""
        body = json.dumps({"writes": writes}).encode()
        request = urllib.request.Request(
            f"{self.url}/write", body, {"content-type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return str(json.loads(error.read()).get("code", error.code))

    def get(self, path: str) -> tuple[int, Any]:
        """A plain GET: the status and the JSON."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=DEADLINE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")


class Driver:
    """A client library's driver program; see `headwater.testing.driver` for what it must answer."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "headwater.testing.driver")) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def do(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver has ended"
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.kill()
        self._process.wait()


class Scenario:
    """One scenario on its way."""

    def __init__(self, key: str, server: Server, driver: Driver) -> None:
        self._key = key
        self._server = server
        self._driver = driver
        self._connected: set[str] = set()
        self._owners: dict[str, str] = {}
        self._events: list[str] = []
        """The types of all events that are sent on the way."""

    def run(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Carry out all steps, then see that no client saw what it may not see.

        :raises AssertionError: an expectation did not come true; the message names the step.
        """
        self._events = sorted(_event_types(steps))
        for number, step in enumerate(steps, 1):
            ((verb, argument),) = step.items()
            try:
                self._step(verb, argument)
            except AssertionError as fault:
                raise AssertionError(f"step {number} ({verb}): {fault}") from None
        for name, client in self._owners.items():
            faults = self._driver.do({"do": "look", "client": client, "as": name})["faults"]
            assert not faults, f"{name} saw {faults}"
        for client in self._connected:
            self._driver.do({"do": "cut", "client": client})

    def _step(self, verb: str, argument: Any) -> None:
        match verb:
            case "write":
                writes: list[dict[str, Any]] = argument if is_list(argument) else [argument]
                self._write(writes)
            case "expect":
                self._expect(argument)
            case "get":
                self._get(argument)
            case "server":
                self._serve(argument)
            case "connect":
                wanted: dict[str, Any] = argument if is_object(argument) else {"client": argument}
                self._connect(self._client(wanted.get("client")), wanted.get("tokens"))
            case "cut" | "stall" | "unstall":
                self._driver.do({"do": verb, "client": self._client(argument)})
            case "subscribe" | "unsubscribe" | "more" | "state" | "cancel":
                self._ask(verb, dict(argument or {}))
            case "client_write":
                self._ask("write", argument)
            case _:
                raise AssertionError("there is no such step")

    def _client(self, name: str | None) -> str:
        return f"{self._key}/{name or 'one'}"

    def _group(self, argument: Mapping[str, Any]) -> str:
        return f"{self._key}:{argument.get('group', 'g')}"

    def _connect(self, client: str, tokens: Sequence[str | None] | None = None) -> None:
        command: dict[str, Any] = {"do": "connect", "client": client, "url": self._server.url}
        if tokens is not None:
            command["tokens"] = [token and _expiring(token) for token in tokens]
        self._driver.do(command)
        self._connected.add(client)

    def _ask(self, verb: str, argument: dict[str, Any]) -> None:
        name = argument.get("as", "s")
        client = self._owners.setdefault(name, self._client(argument.get("client")))
        if client not in self._connected:
            self._connect(client)
        command = {**argument, "do": verb, "client": client, "as": name}
        if verb == "subscribe":
            command |= {"stream": argument.get("stream", "room"), "group": self._group(argument)}
            command["events"] = self._events
        self._driver.do(command)

    def _write(self, writes: list[dict[str, Any]]) -> None:
        batch: list[dict[str, Any]] = []
        fails = ""
        for write in writes:
            whole = {**write, "stream": write.get("stream", "room"), "group": self._group(write)}
            times = int(whole.pop("times", 0))
            fails = str(whole.pop("fails", fails))
            batch += [_numbered(whole, n) for n in range(1, times + 1)] if times else [whole]
        code = self._server.write(batch)
        assert code == fails, f"the write was answered with {code!r}, not {fails!r}"

    def _expect(self, argument: Mapping[str, Any]) -> None:
        name = argument.get("as", "s")
        until, pause = time.monotonic() + DEADLINE, FIRST_LOOK
        while True:
            seen = self._driver.do({"do": "look", "client": self._owners[name], "as": name})
            wrong = _differences(argument, seen)
            if not wrong:
                return
            if time.monotonic() > until:
                raise AssertionError("; ".join(wrong))
            time.sleep(pause)
            pause = min(2 * pause, LAST_LOOK)

    def _get(self, argument: Mapping[str, Any]) -> None:
        path = argument["path"].replace("{group}", quote(f"{self._key}:g", safe=""))
        status, body = self._server.get("/streams" + path)
        assert status == argument.get("status", 200), f"status {status}: {body}"
        if "items" in argument:
            assert body["items"] == argument["items"], f"items {body['items']}"
        if "item" in argument:
            assert body == argument["item"], f"item {body}"

    def _serve(self, how: str) -> None:
        if how in ("restart", "stop"):
            self._server.stop()
        elif how == "kill":
            self._server.stop(signal.SIGKILL)
        if how != "stop":
            self._server.start()


def _expiring(token: str) -> str:
    """A token with its end, in seconds since 1970."""
    name, _, seconds = token.partition("+")
    return f"{name}~{time.time() + float(seconds)}"


def _event_types(steps: Any) -> set[str]:
    if is_list(steps):
        return {kind for step in steps for kind in _event_types(step)}
    if not is_object(steps):
        return set()
    sent: Any = steps.get("send")
    own = {str(sent["type"])} if is_object(sent) else set[str]()
    return own | _event_types(list(steps.values()))


def _numbered(value: Any, n: int) -> Any:
    """A copy in which `{n}` in texts is the number; a text that is nothing else becomes the number itself."""
    if is_object(value):
        return {key: _numbered(inner, n) for key, inner in value.items()}
    if is_list(value):
        return [_numbered(inner, n) for inner in value]
    if isinstance(value, str):
        return n if value == "{n}" else value.replace("{n}", str(n))
    return value


def _differences(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    items: list[Any] | None = seen["items"]
    error: dict[str, Any] = seen["error"] or {}
    facts: dict[str, Any] = {
        **seen,
        "error": error.get("code"),
        "count": None if items is None else len(items),
        "last": items[-1] if items else None,
    }
    wrong = [
        f"{key} is {facts[key]!r}, not {value!r}"
        for key, value in wanted.items()
        if key not in ("as", "bytes_below") and facts[key] != value
    ]
    if seen["bytes"] >= wanted.get("bytes_below", float("inf")):
        wrong.append(f"{seen['bytes']} bytes were received, not below {wanted['bytes_below']}")
    return wrong
