"""The worker protocol of `spec/WORKER.md`: one constructor per message, beside the frames that carry them.

Owns the shapes of all messages in both directions. May know nothing of sockets, processes, threads or user
code: both sides (the server's pool and every Python worker) stand on this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import orjson

from headwater.errors import HeadwaterError, ProtocolFault
from headwater.model import Origin
from headwater.protocol.workers.frames import DEFAULT_LIMIT, Decoder, Message, Section, Sender, check, encode

__all__ = [
    "BLOCK_AFTER_VARIABLE",
    "DEFAULT_LIMIT",
    "FD_VARIABLE",
    "LIMIT_VARIABLE",
    "PROTOCOL",
    "STATE_DATA_VARIABLE",
    "Decoder",
    "LogLevel",
    "Message",
    "Section",
    "Sender",
    "Source",
    "Task",
    "Whose",
    "blocked",
    "call",
    "call_result",
    "cancel",
    "check",
    "drain",
    "encode",
    "end",
    "failure",
    "hello",
    "invoke",
    "late_origin",
    "load",
    "loading",
    "log",
    "manifest",
    "ping",
    "pong",
    "result",
    "sources_of",
    "started",
    "streams",
    "whose",
    "withdraw",
    "withdrawn",
]

PROTOCOL = 2
"""The version of the protocol, told in `hello`."""

FD_VARIABLE = "HEADWATER_WORKER_FD"
"""Environment variable: the number of the inherited socket."""

BLOCK_AFTER_VARIABLE = "HEADWATER_BLOCK_AFTER"
"""Environment variable: seconds that one invocation may hold the loop before the worker says `blocked`."""

LIMIT_VARIABLE = "HEADWATER_MAX_FRAME_BYTES"
"""Environment variable: the limit on a frame's length in bytes."""

STATE_DATA_VARIABLE = "HEADWATER_STATE_DATA"
"""Environment variable: the setting `[steps] state_data`, which concerns Python alone."""

LogLevel = Literal["debug", "info", "warn", "error"]


# --- messages from the server ---


class Source(NamedTuple):
    """One file of a generation: its path relative to the project's root, with `/`, and its bytes."""

    path: str
    content: bytes


def load(
    generation: int, root: str, folders: Sequence[str], sources: Sequence[Source], stream_auth: str = ""
) -> Message:
    """Load the project; `root` is absolute, `folders` are where steps and streams are looked for,
    `stream_auth` which of the files is the old format's configuration that says who follows streams."""
    files = [{"path": source.path, "section": index} for index, source in enumerate(sources)]
    header = {"t": "load", "generation": generation, "root": root, "folders": list(folders), "files": files}
    if stream_auth:
        header["stream_auth"] = stream_auth
    return Message(header, tuple(source.content for source in sources))


def sources_of(message: Message) -> list[Source]:
    """The files of a `load` message.

    :raises ProtocolFault: an entry is malformed.
    """
    sources: list[Source] = []
    for entry in message.header["files"]:
        match entry:
            case {"path": str(path), "section": int(index)} if 0 <= index < len(message.sections):
                sources.append(Source(path, bytes(message.sections[index])))
            case _:
                raise ProtocolFault('A "load" message lists a file without a path or a section.')
    return sources


def streams(names: Sequence[str]) -> Message:
    """Tell the names of all streams of the project."""
    return Message({"t": "streams", "names": list(names)})


class Task(NamedTuple):
    """What every invocation has: its number, the declaring file, the step's name, the trace id, the step's
    flows, and whether it gets a thread with a loop of its own."""

    id: int
    file: str
    step: str
    trace: str
    flows: tuple[str, ...] = ()
    thread: bool = False


def invoke(task: Task, kind: str, members: Mapping[str, Any], sections: tuple[Section, ...] = ()) -> Message:
    """Run something; `members` and `sections` are those that section 5 of the specification says for the
    kind."""
    header = {
        "t": "invoke",
        "id": task.id,
        "kind": kind,
        "file": task.file,
        "step": task.step,
        "trace": task.trace,
        "flows": list(task.flows),
        "thread": task.thread,
        **members,
    }
    return Message(header, sections)


def whose(origin: Origin) -> dict[str, Any]:
    """The members of an `invoke` that say who caused it: `auth`, and `origin`, which is for the server alone,
    where a call comes after the invocation has ended."""
    auth = {} if origin.auth is None else {"auth": orjson.loads(origin.auth)}
    if origin.depth or origin.links:
        return {**auth, "origin": {"depth": origin.depth, "links": origin.links}}
    return auth


def late_origin(header: Mapping[str, Any]) -> Origin:
    """Who makes a `call` that belongs to no invocation: what it says, as `whose` told it."""
    told: Mapping[str, Any] = header.get("origin") or {}
    counts = [told.get(name) for name in ("depth", "links")]
    depth, links = (count if isinstance(count, int) else 0 for count in counts)
    auth = header.get("auth")
    text = None if auth is None else orjson.dumps(auth)
    return Origin(header.get("step") or "", header.get("trace") or "", depth, text, links)


def call_result(call: int, value: Section | None, versions: Sequence[int] = ()) -> Message:
    """A call succeeded. `value` is JSON text (None for null), `versions` one per item in it."""
    if value is None:
        return Message({"t": "result", "id": call, "ok": True, "value": None})
    header = {"t": "result", "id": call, "ok": True, "value_section": 0, "versions": list(versions)}
    return Message(header, (value,))


def failure(number: int, error: HeadwaterError | Mapping[str, Any]) -> Message:
    """A call or an invocation failed."""
    members = error.to_dict() if isinstance(error, HeadwaterError) else dict(error)
    return Message({"t": "result", "id": number, "ok": False, "error": members})


def withdraw(invocation: int) -> Message:
    """Ask an invocation back that has not started."""
    return Message({"t": "withdraw", "id": invocation})


def cancel(invocation: int, patience: float | None = None) -> Message:
    """Stop an invocation; after `patience` seconds by force, where the worker can."""
    header: dict[str, Any] = {"t": "cancel", "id": invocation}
    return Message(header if patience is None else {**header, "patience": patience})


def ping(number: int) -> Message:
    """Ask the loop that runs user code for a sign of life."""
    return Message({"t": "ping", "n": number})


def drain(linger: float = 0.0) -> Message:
    """No more invocations come: end after the last one, and after what they left running, but at most
    `linger` seconds later."""
    return Message({"t": "drain", "linger": linger} if linger else {"t": "drain"})


def end() -> Message:
    """End now, and tell what that ends."""
    return Message({"t": "end"})


# --- messages from the worker ---


def hello(language: str, language_version: str, pid: int) -> Message:
    """Who speaks; the first message."""
    members = {"protocol": PROTOCOL, "language": language, "language_version": language_version, "pid": pid}
    return Message({"t": "hello", **members})


def manifest(
    generation: int,
    steps: Sequence[Mapping[str, Any]],
    streams: Sequence[Mapping[str, Any]],
    problems: Sequence[Mapping[str, Any]],
    auth: Sequence[Mapping[str, Any]] = (),
) -> Message:
    """What the project's files declare; the entries are those of section 7 of the specification."""
    header: dict[str, Any] = {"t": "manifest", "generation": generation}
    listed = {"steps": list(steps), "streams": list(streams), "problems": list(problems)}
    return Message({**header, **listed, **({"auth": list(auth)} if auth else {})})


def loading(file: str) -> Message:
    """A declaring file is imported now, or the lifespan's entered; "" once that is over."""
    return Message({"t": "loading", "file": file})


def started(invocation: int) -> Message:
    """User code of the invocation begins now."""
    return Message({"t": "started", "id": invocation})


def call(members: Mapping[str, Any], data: Section | None = None) -> Message:
    """Use a service; `members` are those of section 6 of the specification, `data` is JSON text."""
    return Message({"t": "call", **members}, () if data is None else (data,))


def result(invocation: int, members: Mapping[str, Any], sections: tuple[Section, ...] = ()) -> Message:
    """An invocation has ended well; `members` and `sections` are those that section 5 of the specification
    says for its kind."""
    return Message({"t": "result", "id": invocation, "ok": True, **members}, sections)


def withdrawn(invocation: int, *, ok: bool) -> Message:
    """Whether the invocation is given back."""
    return Message({"t": "withdrawn", "id": invocation, "ok": ok})


def pong(number: int) -> Message:
    """The sign of life."""
    return Message({"t": "pong", "n": number})


class Whose(NamedTuple):
    """Which invocation something belongs to; None and empty texts for none."""

    invocation: int | None = None
    trace: str = ""
    step: str = ""


def log(level: LogLevel, message: str, fields: Mapping[str, Any], whose: Whose) -> Message:
    """One log line of user code, or of the worker about it."""
    header = {"t": "log", "level": level, "message": message, "fields": dict(fields), **whose._asdict()}
    return Message(header)


def blocked(invocation: int, step: str, seconds: float) -> Message:
    """An invocation has held the loop for that many seconds."""
    return Message({"t": "blocked", "id": invocation, "step": step, "seconds": seconds})
