"""A project's `headwater_types.pyi`: items, requests, responses, inputs and contexts, as Python sees them.

The file is a stub: import from it under `if TYPE_CHECKING:`. Owns the words of the file; the part that is the
same for every project is `headwater_types.txt`.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from headwater.cli.typegen.lifespan import PythonApp
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
from headwater.steps.project.declare import ApiStep, EventStep, Project, Step

STATIC = Path(__file__).with_name("headwater_types.txt")

_HEAD = """\
# Written by `headwater types`, and kept fresh by `headwater dev`. Change your schemas instead of this file.
# Import from it under `if TYPE_CHECKING:`; it is a stub, there is nothing to run.
# ruff: noqa
# fmt: off
# mypy: disable-error-code="override"
# pyright: reportUnusedClass=false, reportPrivateUsage=false, reportIncompatibleMethodOverride=false

"""

UNKNOWN_APP = PythonApp("Any")

_SCALARS = {"string": "str", "number": "float", "integer": "int", "boolean": "bool", "null": "None"}
_TAKEN = {
    "Any", "AsyncIterable", "AsyncIterator", "Awaitable", "Call", "Callable", "Context", "Generic",
    "Iterable", "Iterator", "KeptStep", "Literal", "Logger", "Mapping", "Never", "NotRequired",
    "Operation", "overload", "ProgressLoop", "property", "Protocol", "ReadOnly", "Sequence",
    "State", "StateEntry", "Stream", "Streams", "TypedDict", "TypeVar",
}  # fmt: skip


def python(project: Project, app: PythonApp = UNKNOWN_APP) -> str:
    """The text of the file. `app` is the type of `ctx.app`."""
    writer = _Writer()
    streams = dict(_streams(project, writer))
    inputs: dict[str, list[str]] = {}
    steps = sorted(project.steps, key=lambda one: (one.name, one.file))
    for step in steps:
        if isinstance(step, ApiStep):
            writer.api(step)
        elif isinstance(step, EventStep) and step.input_schema is not None:
            kind = writer.named(step.input_schema, step.name, "Input")
            for topic in step.subscribes:
                inputs.setdefault(topic, []).append(kind)
    static = STATIC.read_text(encoding="utf-8")
    types, contexts = writer.text(), _contexts(steps, inputs, writer)
    head = f"{_HEAD}{app.importing}\n" if app.importing else _HEAD
    context = _CONTEXT.replace("    app: Any\n", f"    app: {app.written}\n")
    return f"{head}{static}\n{types}{_streams_class(streams)}\n{context}{contexts}".rstrip("\n") + "\n"


def _contexts(steps: Iterable[Step], inputs: Mapping[str, list[str]], writer: _Writer) -> str:
    """A context of its own for each step that says what it emits, and the events of those topics.

    Data that several steps take is anything: Python has no word for what fits them all.
    """
    written: dict[str, str] = {}
    lines: list[str] = []
    for step in steps:
        for topic in step.emits:
            if topic not in written:
                kinds = inputs.get(topic, [])
                written[topic] = name = writer.name(topic, "Event")
                lines += ["", f"class {name}(_EmitOptions):", f"    topic: Literal[{topic!r}]"]
                lines += [f"    data: {kinds[0] if len(kinds) == 1 else ANY}", ""]
        if step.emits:
            events = " | ".join(dict.fromkeys(written[topic] for topic in step.emits))
            lines += ["", f"class {writer.name(step.name, 'Context')}(Context):"]
            lines += [f"    def emit(self, event: {events}) -> Call[Emitted]: ...", ""]
    return "".join(f"{line}\n" for line in lines)


_CONTEXT = '''\
class Context:
    """What a handler gets beside its input."""

    streams: Streams
    logger: Logger
    state: State
    trace_id: str
    traceId: str
    flows: list[str]
    step_name: str
    cancelled: bool
    auth: dict[str, Any] | None
    attempt: int
    run: str
    app: Any
    def emit(self, event: Mapping[str, Any]) -> Call[Emitted]: ...
    def step(self, name: str, function: Callable[..., Any], *arguments: Any) -> KeptStep: ...
    def owns(self, item: Any) -> Call[None]: ...
    @overload
    def progress(
        self, items: Iterable[_Element], item: Any, *, total: int | None = None
    ) -> ProgressLoop[_Element]: ...
    @overload
    def progress(
        self, items: AsyncIterable[_Element], item: Any, *, total: int | None = None
    ) -> AsyncIterable[_Element]: ...
'''


def _streams(project: Project, writer: _Writer) -> Iterator[tuple[str, str]]:
    """For each stream the types of what comes out and goes in."""
    for stream in sorted(project.streams, key=lambda one: one.name):
        item, data = writer.stream(stream.schema, stream.name)
        yield stream.name, f"Stream[{item}, {data}]"


def _streams_class(streams: dict[str, str]) -> str:
    lines = ["class Streams:", '    """All streams of the project, by name."""', ""]
    for name, kind in streams.items():
        if _is_name(name):
            lines += ["    @property", f"    def {name}(self) -> {kind}: ..."]
    overload = ["    @overload"] if len(streams) > 1 else []
    for name, kind in streams.items():
        lines += [*overload, f"    def __getitem__(self, name: Literal[{name!r}]) -> {kind}: ..."]
    return "\n".join([*lines, "    def __contains__(self, name: object) -> bool: ...", ""])


class _Writer:
    """Collects the classes that are written, each after those that it refers to."""

    def __init__(self) -> None:
        self._names = Names(_TAKEN)
        self._classes: list[str] = []

    def text(self) -> str:
        return "".join(f"{one}\n" for one in self._classes)

    def name(self, *words: str) -> str:
        """A name that is nobody's yet."""
        return self._names.give(*words)

    def named(self, schema: Schema | None, *words: str) -> str:
        """A name for the type of a schema."""
        document = read(schema)
        return self._write(document.root, self._define(document, words), words)

    def stream(self, schema: Schema | None, name: str) -> tuple[str, str]:
        """Names for the items of a stream, and for what is written: there the `id` may be missing.

        It is read-only there, so that what has one fits too.
        """
        document = read(schema)
        given = self._define(document, (name,))
        item = self._write(document.root, given, (name,))
        root = document.resolved()
        if not isinstance(root, Record) or not any(one.name == "id" and one.required for one in root.members):
            return item, item
        members = tuple(MAYBE_ID if one.name == "id" else one for one in root.members)
        return item, self._write(Record(members, root.rest), given, (name, "Data"))

    def api(self, step: ApiStep) -> None:
        """The request and the response of an API step."""
        body = "Any" if step.body_schema is None else self.named(step.body_schema, step.name, "Body")
        request = self._names.give(step.name, "Request")
        self._classes.append(
            f"class {request}(TypedDict):\n"
            f"    body: {body}\n    pathParams: dict[str, str]\n    queryParams: dict[str, str | list[str]]\n"
            "    headers: dict[str, str | list[str]]\n    rawBody: str | bytes\n"
            "    auth: dict[str, Any] | None\n"
        )
        answers = [
            self._answer(step, status, schema) for status, schema in sorted(step.response_schemas.items())
        ]
        response = self._names.give(step.name, "Response")
        self._classes.append(f"{response} = {' | '.join(answers) or 'Mapping[str, Any]'}\n")

    def _answer(self, step: ApiStep, status: int, schema: Schema) -> str:
        body = self.named(schema, step.name, "Body", str(status))
        name = self._names.give(step.name, "Response", str(status))
        self._classes.append(
            f"class {name}(TypedDict):\n    status: Literal[{status}]\n    body: {body}\n"
            "    headers: NotRequired[dict[str, str | list[str]]]\n"
        )
        return name

    # --- shapes ---

    def _define(self, document: Document, words: tuple[str, ...]) -> dict[str, str]:
        """Types for the definitions of a schema; answers how each is called here."""
        root = document.root.name if isinstance(document.root, Named) else ""
        given = {
            name: self._names.give(*words, *(() if name == root else (name,)))
            for name in document.definitions
        }
        for name, inner in document.definitions.items():
            if isinstance(inner, Record) and inner.members:
                self._dict(given[name], inner, given, (*words, name))
            else:
                self._classes.append(f"{given[name]} = {self._write(inner, given, (*words, name))}\n")
        return given

    def _write(self, shape: Shape, given: dict[str, str], words: tuple[str, ...]) -> str:
        match shape:
            case Anything():
                return "Any"
            case Nothing():
                return "Never"
            case Scalar(kind):
                return _SCALARS[kind]
            case Constant(value):
                return f"Literal[{value!r}]" if not isinstance(value, float) else "float"
            case Named(name):
                return given.get(name, ANY)
            case Either(options):
                return " | ".join(dict.fromkeys(self._either(options, given, words)))
            case Listing():
                return self._listing(shape, given, words)
            case Record():
                return self._record(shape, given, words)

    def _either(
        self, options: Iterable[Shape], given: dict[str, str], words: tuple[str, ...]
    ) -> Iterator[str]:
        for number, option in enumerate(options, 1):
            inner = (*words, f"Option{number}") if isinstance(option, Record) and option.members else words
            yield self._write(option, given, inner)

    def _listing(self, shape: Listing, given: dict[str, str], words: tuple[str, ...]) -> str:
        if not shape.items:
            inner = ANY if shape.rest is None else self._write(shape.rest, given, (*words, "Item"))
            return f"list[{inner}]"
        kinds = [self._write(one, given, (*words, "Item")) for one in shape.items]
        kinds += [] if shape.rest is None else [self._write(shape.rest, given, (*words, "Item"))]
        return f"list[{' | '.join(dict.fromkeys(kinds))}]"

    def _record(self, shape: Record, given: dict[str, str], words: tuple[str, ...]) -> str:
        if not shape.members:
            inner = ANY if shape.rest is None else self._write(shape.rest, given, (*words, "Value"))
            return f"dict[str, {inner}]"
        return self._dict(self._names.give(*words), shape, given, words)

    def _dict(self, name: str, shape: Record, given: dict[str, str], words: tuple[str, ...]) -> str:
        # A TypedDict takes no member without a name.
        named = [one for one in shape.members if one.name]
        members = [(one, self._write(one.shape, given, (*words, one.name))) for one in named]
        if all(_is_name(one.name) for one, _ in members):
            lines = "".join(_member(one, kind) for one, kind in members) or "    pass\n"
            self._classes.append(f"class {name}(TypedDict):\n{lines}")
        else:  # the form for names that are no identifiers
            lines = "".join(f"    {one.name!r}: {_optional(one, kind)},\n" for one, kind in members)
            self._classes.append(f"{name} = TypedDict({name!r}, {{\n{lines}}})\n")
        return name


ANY = "Any"

MAYBE_ID = Member("id", Scalar("string"), required=False)
"""The `id` of an item in what is written: the one that is given beside it wins."""


def _member(member: Member, kind: str) -> str:
    doc = f"    {_quoted(member.doc)}\n" if member.doc else ""
    return f"    {member.name}: {_optional(member, kind)}\n{doc}"


def _optional(member: Member, kind: str) -> str:
    if member.required:
        return kind
    return f"NotRequired[ReadOnly[{kind}]]" if member is MAYBE_ID else f"NotRequired[{kind}]"


def _quoted(text: str) -> str:
    return '"""' + text.replace("\\", "\\\\").replace('"""', "'''").rstrip('"') + '"""'


def _is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)
