"""What a project declares, as frozen types: steps, streams, problems, and an API step's request and response.

Owns the shapes only. How files become these is `discover.py`; how they run is `execute.py`. Knows no process,
no socket and no HTTP library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headwater.errors import Limit
from headwater.schema import JsonSchema
from headwater.streams.catalog import StreamRules

Method = Literal["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]
BodyKind = Literal["json", "text", "none", "inline"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What every step has. `file` is relative to the project, with `/`; `language` is "python" or "node"."""

    file: str
    language: str
    name: str
    description: str = ""
    flows: tuple[str, ...] = ()
    emits: tuple[str, ...] = ()
    virtual_emits: tuple[str, ...] = ()
    virtual_subscribes: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class ApiStep(Declaration):
    """A step with a route. `path` is Express style, `response_schemas` maps statuses to schemas."""

    path: str = ""
    method: Method = "GET"
    body_schema: JsonSchema | None = None
    response_schemas: Mapping[int, JsonSchema] = field(default_factory=dict[int, JsonSchema])
    query_params: tuple[tuple[str, str], ...] = ()
    middleware: int = 0


@dataclass(frozen=True, slots=True)
class EventStep(Declaration):
    """A step that runs when a topic is emitted, or when something is written that it subscribes to.

    `conditional`: the file has a condition, which is asked of each such write.
    """

    subscribes: tuple[str, ...] = ()
    input_schema: JsonSchema | None = None
    infrastructure: Mapping[str, Any] = field(default_factory=dict[str, Any])
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class CronStep(Declaration):
    """A step that runs by the clock; `cron` has 5 fields, or 6 with seconds."""

    cron: str = ""


@dataclass(frozen=True, slots=True)
class NoopStep(Declaration):
    """A step that stands for something outside, for people to see."""


Step = ApiStep | EventStep | CronStep | NoopStep


@dataclass(frozen=True, slots=True)
class StreamDeclaration(StreamRules):
    """A stream as a file of the project declares it: its rules (`streams/catalog.py`), and where it
    stands. `twins` are other files that declare the same."""

    file: str
    language: str
    line: int = 0
    twins: tuple[str, ...] = ()

    @property
    def flows(self) -> tuple[str, ...]:
        """None: flows are made of steps."""
        return ()


@dataclass(frozen=True, slots=True)
class Authenticator:
    """The file of the project that says who asks. `stamp` tells two of them apart whose answers may differ.
    `broken` says why it cannot be asked, which lets nobody in; it is empty where it can. `old`: it is the old
    format's `streamAuth`, which says who follows streams, and takes a token that it does not know for nobody;
    who calls API steps it is not asked."""

    file: str
    language: str
    line: int = 0
    stamp: str = ""
    broken: str = ""
    name: str = "authenticate"
    flows: tuple[str, ...] = ()
    old: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in the project, for people: where, what, what to do. `level` "error" leaves the file out."""

    level: Literal["error", "warning"]
    code: str
    message: str
    file: str = ""
    line: int = 0
    hint: str = ""
    traceback: str = ""
    involved: tuple[str, ...] = ()
    """The project files on the import path to the fault, the declaring file first; for a reload."""
    limit: Limit | None = None
    """The limit that was met, if it is one."""


@dataclass(frozen=True, slots=True)
class Project:
    """One generation of the project: all that its files declare, and what is wrong with them."""

    generation: int
    steps: tuple[Step, ...] = ()
    streams: tuple[StreamDeclaration, ...] = ()
    problems: tuple[Problem, ...] = ()
    authenticator: Authenticator | None = None
    """Who says who asks; None: nobody, and so nobody is known."""

    @property
    def routes(self) -> tuple[ApiStep, ...]:
        """The API steps, in path order of their files; no two have the same method and path shape."""
        return tuple(step for step in self.steps if isinstance(step, ApiStep))

    def stream(self, name: str) -> StreamDeclaration | None:
        """The stream of that name, or None."""
        return next((stream for stream in self.streams if stream.name == name), None)


@dataclass(slots=True)
class ApiRequest:
    """One HTTP request on its way to an API step.

    `headers` have lower-case names. `query` values are text, a list where a name repeats, or what names with
    brackets nest. `body` is what was parsed for `body_kind` "json" and "inline" (forms), for validation;
    `raw_body` is what came in. `auth` is the context of who asks, as JSON text. `trace` is the trace id,
    `parent` the caller's span in it, if there is one.
    """

    method: str
    path: str
    path_params: dict[str, str]
    query: dict[str, Any]
    headers: dict[str, str]
    raw_body: bytes
    body_kind: BodyKind
    body: Any
    trace: str
    parent: str = ""
    auth: bytes | None = None


@dataclass(slots=True)
class ApiResponse:
    """What an API step answered, ready for HTTP: header pairs include the content type where there is one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
