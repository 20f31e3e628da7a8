"""A project's `types.d.ts`: handlers, emits and streams, as TypeScript sees them.

The file declares the modules `headwater` and `motia` whole, so that nothing has to be installed for imports
of them to resolve. Owns the words of the file; what is the same for every project is `headwater.d.ts`, and
`motia.d.ts` what only old files name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from headwater.cli.typegen.names import Names
from headwater.cli.typegen.shapes import (
    Anything,
    Constant,
    Document,
    Either,
    Listing,
    Member,
    Named,
    Nothing,
    Record,
    Scalar,
    Schema,
    Shape,
    read,
)
from headwater.steps.project.declare import ApiStep, CronStep, EventStep, Project, StreamDeclaration

STATIC = Path(__file__).with_name("headwater.d.ts")
OLD = Path(__file__).with_name("motia.d.ts")

_HEAD = """\
// Written by `headwater types`, and kept fresh by `headwater dev`. Change your schemas instead of this file.

"""

UNKNOWN_APP = "export type App = any\n"

_TAIL = """\

  global {
    /** What the clients, `headwater/client` and `@headwater/react`, know of the streams. */
    interface HeadwaterStreams extends StreamItems {}
  }
}
"""

_SCALARS = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def typescript(project: Project, app: str = UNKNOWN_APP) -> str:
    """The text of the file. `app` declares `App`, the type of `ctx.app`."""
    writer = _Writer(project)
    streams, handlers = writer.streams(), writer.handlers()
    static, old = [path.read_text(encoding="utf-8") for path in (STATIC, OLD)]
    body = _block("Streams", streams) + "\n" + _block("Handlers", handlers) + "\n" + writer.definitions()
    ours = f"declare module 'headwater' {{\n{_indent(body)}\n{_indent(app)}\n{_indent(static)}{_TAIL}"
    return f"{_HEAD}{ours}\ndeclare module 'motia' {{\n{_indent(old)}}}\n"


def _block(name: str, members: Iterable[str]) -> str:
    lines = "".join(f"{line}\n" for line in members)
    return f"export interface {name} {{\n{_indent(lines)}}}\n"


def _indent(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))


class _Writer:
    def __init__(self, project: Project) -> None:
        self._project = project
        static = "".join(path.read_text(encoding="utf-8") for path in (STATIC, OLD))
        taken = set(re.findall(r"(?:interface|type|class|const|function) (\w+)", static))
        self._names = Names(taken | {"App", "Handlers", "LifespanOf", "Streams", "YieldedBy"})
        self._definitions: list[str] = []
        self._events = _topics(project)

    def definitions(self) -> str:
        """The types that the others refer to."""
        return "".join(f"export {text}\n\n" for text in self._definitions)

    def streams(self) -> Iterator[str]:
        """The members of `Streams`."""
        for stream in sorted(self._project.streams, key=lambda one: one.name):
            yield _doc(stream.file)
            yield f"{_key(stream.name)}: Stream<{self._stream_item(stream)}>"

    def _stream_item(self, stream: StreamDeclaration) -> str:
        document = read(stream.schema)
        return self._named(document, stream.name)

    def handlers(self) -> Iterator[str]:
        """The members of `Handlers`."""
        seen: set[str] = set()
        for step in sorted(self._project.steps, key=lambda one: (one.name, one.file)):
            if step.name in seen or not isinstance(step, ApiStep | EventStep | CronStep):
                continue
            seen.add(step.name)
            yield _doc(step.file)
            yield f"{_key(step.name)}: {self._handler(step)}"

    def _handler(self, step: ApiStep | EventStep | CronStep) -> str:
        emits = self._emits(step.emits)
        if isinstance(step, ApiStep):
            return f"ApiRouteHandler<{self._body(step)}, {self._responses(step)}, {emits}>"
        if isinstance(step, EventStep):
            return f"EventHandler<{self._inline(step.input_schema, step.name)}, {emits}>"
        return f"CronHandler<{emits}>"

    def _body(self, step: ApiStep) -> str:
        return self._inline(step.body_schema, step.name) if step.body_schema is not None else "unknown"

    def _responses(self, step: ApiStep) -> str:
        answers = [
            f"ApiResponse<{status}, {self._inline(schema, step.name)}>"
            for status, schema in sorted(step.response_schemas.items())
        ]
        return " | ".join(answers) or "ApiResponse"

    def _emits(self, topics: Iterable[str]) -> str:
        """What a step may emit; an empty list allows any topic."""
        events = [
            f"{{ topic: {_text(topic)}; data: {self._event(topic)} }}" for topic in dict.fromkeys(topics)
        ]
        return " | ".join(events) or "EmittedEvent"

    def _event(self, topic: str) -> str:
        schemas = self._events.get(topic, [])
        return " & ".join(dict.fromkeys(self._inline(schema, topic) for schema in schemas)) or "unknown"

    # --- shapes ---

    def _inline(self, schema: Schema | None, hint: str) -> str:
        if schema is None:
            return "unknown"
        document = read(schema)
        return self._write(document.root, self._define(document, hint))

    def _named(self, document: Document, hint: str) -> str:
        given = self._define(document, hint)
        name = self._names.give(hint)
        written = self._write(document.root, given)
        self._definitions.append(f"type {name} = {written}")
        return name

    def _define(self, document: Document, hint: str) -> dict[str, str]:
        """Types for the definitions of a schema; answers how each is called here."""
        given = {name: self._names.give(hint, name) for name in document.definitions}
        for name, shape in document.definitions.items():
            self._definitions.append(f"type {given[name]} = {self._write(shape, given)}")
        return given

    def _write(self, shape: Shape, given: dict[str, str]) -> str:
        match shape:
            case Anything():
                return "unknown"
            case Nothing():
                return "never"
            case Scalar(kind):
                return _SCALARS[kind]
            case Constant(value):
                return json.dumps(value) if not isinstance(value, str) else _text(value)
            case Named(name):
                return given.get(name, "unknown")
            case Either(options):
                return " | ".join(self._write(option, given) for option in options)
            case Listing():
                return self._listing(shape, given)
            case Record():
                return self._record(shape, given)

    def _listing(self, shape: Listing, given: dict[str, str]) -> str:
        rest = None if shape.rest is None else f"Array<{self._write(shape.rest, given)}>"
        if not shape.items:
            return rest or "[]"
        parts = [self._write(item, given) for item in shape.items]
        return f"[{', '.join([*parts, f'...{rest}'] if rest else parts)}]"

    def _record(self, shape: Record, given: dict[str, str]) -> str:
        if not shape.members:
            return "{}" if shape.rest is None else _others(self._write(shape.rest, given))
        members = "".join(_indent(self._member(member, given)) for member in shape.members)
        # Others, in words that do not contradict the known ones.
        rest = "" if shape.rest is None else f" & {_others('unknown')}"
        return f"{{\n{members}}}{rest}"

    def _member(self, member: Member, given: dict[str, str]) -> str:
        doc = f"{_doc(member.doc)}\n" if member.doc else ""
        optional = "" if member.required else "?"
        return f"{doc}{_key(member.name)}{optional}: {self._write(member.shape, given)}\n"


def _topics(project: Project) -> dict[str, list[Schema]]:
    """The input schemas of the event steps, by the topics that they subscribe to."""
    found: dict[str, list[Schema]] = {}
    for step in project.steps:
        if isinstance(step, EventStep) and step.input_schema is not None:
            for topic in step.subscribes:
                found.setdefault(topic, []).append(step.input_schema)
    return found


def _others(kind: str) -> str:
    """An object of any members. In this form, unlike in `Record<...>`, a type may hold itself."""
    return f"{{ [name: string]: {kind} }}"


def _doc(text: str) -> str:
    return f"/** {text.replace('*/', '* /')} */"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    """A text as TypeScript writes it."""
    inner = json.dumps(value)[1:-1].replace("'", "\\'").replace('\\"', '"')
    return f"'{inner}'"
