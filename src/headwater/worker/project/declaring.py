"""What the project's step and stream files declare -> the manifest. Owns which files count and what is wrong
with each; whether a config makes sense is for the server to judge."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, cast

from headwater.errors import HeadwaterError
from headwater.worker.chain import Link, links
from headwater.worker.faults import describe, frames, innermost, traceback_text, written_line
from headwater.worker.kinds import AUTHENTICATE, CONDITION, HANDLER, KINDS, RULES, needs_handler
from headwater.worker.project.arguments import misfit
from headwater.worker.project.auth_file import AUTH_FILE, AuthInvalid, authenticate_of
from headwater.worker.project.files import Sources
from headwater.worker.project.importing import Importer
from headwater.worker.project.lifespan_file import LIFESPAN_FILE, LifespanFile, lifespan_of
from headwater.worker.project.rules import ALL_NAMES, NAMES, manifest_of, misnamed, rules_of
from headwater.worker.project.schemas import ConfigNotJson, plain_config

LANGUAGE = "python"

_STEP_ENDINGS = ("_step.py", ".step.py")
_STREAM_ENDINGS = ("_stream.py", ".stream.py")
_CONFIG_LINE = re.compile(rb"^config\b[^=\n]*=(?!=)", re.MULTILINE)
_LIFESPAN_LINE = re.compile(rb"^(?:async +def +|def +|class +)?lifespan\b", re.MULTILINE)
_AUTH_LINE = re.compile(rb"^(?:async +def +|def +|class +)?authenticate\b", re.MULTILINE)
_STEP_FUNCTIONS = frozenset({"middleware", "condition"})


class Missing(HeadwaterError):
    """A file lacks what its name promises; `code` says what."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.__dict__["code"] = code


class Declared(NamedTuple):
    """What the files gave: the entries of the manifest, and the functions to run: for each of the names
    below, those of a file are one chain; and what is entered before any of them. `auth` are the files that
    say who asks."""

    steps: list[dict[str, Any]]
    streams: list[dict[str, Any]]
    problems: list[dict[str, Any]]
    functions: dict[str, dict[str, tuple[Link, ...]]]
    auth: list[dict[str, Any]]
    lifespan: LifespanFile | None = None


def nothing_declared() -> Declared:
    """What no file has declared yet."""
    names = (HANDLER, CONDITION, AUTHENTICATE, *RULES.values())
    return Declared([], [], [], {name: {} for name in names}, [])


def declare(importer: Importer, on_file: Callable[[str], None] = lambda _: None) -> Declared:
    """Import every declaring file in turn; a broken one becomes a problem and the rest goes on. `on_file` is
    told each before: should it end the process, or never end itself, nobody else can say which it was."""
    declared = nothing_declared()
    for path in sorted(importer.sources.files):
        kind = _kind(importer.sources, path)
        if kind is not None:
            on_file(path)
            _declare_file(importer, path, kind, declared)
    if AUTH_FILE in importer.sources.files:
        on_file(AUTH_FILE)
        _declare_auth(importer, declared)
    if LIFESPAN_FILE in importer.sources.files:
        on_file(LIFESPAN_FILE)
        return declared._replace(lifespan=_declare_lifespan(importer, declared))
    return declared


def _declare_auth(importer: Importer, declared: Declared) -> None:
    line = _line_of(_AUTH_LINE, importer.sources.files[AUTH_FILE])
    try:
        function = authenticate_of(importer.load(AUTH_FILE))
    except AuthInvalid as error:
        declared.problems.append(_problem(AUTH_FILE, error, line))
    except BaseException as error:
        declared.problems.append(_import_problem(importer, AUTH_FILE, error))
    else:
        declared.functions[AUTHENTICATE][AUTH_FILE] = links([function])
        declared.auth.append({"file": AUTH_FILE, "language": LANGUAGE, "line": line or 1})


def _declare_lifespan(importer: Importer, declared: Declared) -> LifespanFile:
    try:
        module = importer.load(LIFESPAN_FILE)
    except BaseException as error:
        declared.problems.append(_import_problem(importer, LIFESPAN_FILE, error))
        return LifespanFile(None)
    try:
        return lifespan_of(module)
    except HeadwaterError as error:
        declared.problems.append(_problem(LIFESPAN_FILE, error, _lifespan_line(importer)))
        return LifespanFile(None)


def _lifespan_line(importer: Importer) -> int | None:
    return _line_of(_LIFESPAN_LINE, importer.sources.files[LIFESPAN_FILE])


def _kind(sources: Sources, path: str) -> Callable[[_File, Declared], None] | None:
    if not any(path.startswith(f"{folder}/") or folder in {"", "."} for folder in sources.folders):
        return None
    name = path.rpartition("/")[2]
    if name.endswith(_STEP_ENDINGS):
        return _declare_step
    return _declare_stream if name.endswith(_STREAM_ENDINGS) else None


class _File(NamedTuple):
    """An imported file: its path, its module, the line of its config, and the config itself."""

    path: str
    module: ModuleType
    line: int | None
    config: Mapping[Any, Any]

    def entry(self, config: dict[str, Any], **more: Any) -> dict[str, Any]:
        line = {} if self.line is None else {"line": self.line}
        return {"file": self.path, "language": LANGUAGE, "config": config, **more, **line}


def _declare_file(
    importer: Importer, path: str, kind: Callable[[_File, Declared], None], declared: Declared
) -> None:
    try:
        module = importer.load(path)
    except BaseException as error:
        declared.problems.append(_import_problem(importer, path, error))
        return
    line = _line_of(_CONFIG_LINE, importer.sources.files[path])
    try:
        kind(_File(path, module, line, _config(module)), declared)
    except HeadwaterError as error:
        declared.problems.append(_problem(path, error, line))
    except Exception as error:  # user objects may fail in ways of their own when they are looked at
        fault = ConfigNotJson(f"The config cannot be read: {describe(error)}")
        declared.problems.append({**_problem(path, fault, line), "traceback": traceback_text(error)})


def _line_of(what: re.Pattern[bytes], source: bytes) -> int | None:
    found = what.search(source)
    return None if found is None else source.count(b"\n", 0, found.start()) + 1


def _config(module: ModuleType) -> Mapping[Any, Any]:
    config: Any = getattr(module, "config", None)
    if isinstance(config, Mapping):
        return cast(Mapping[Any, Any], config)
    said = "is missing" if config is None else f"is a {type(config).__name__}, not a dict"
    raise Missing(
        "CONFIG_MISSING", f"The file's config {said}.", hint='Write config = {"name": ...} in the file.'
    )


def _declare_step(file: _File, declared: Declared) -> None:
    middleware = _middleware(file.config)
    kind: Any = file.config.get("type")
    handler: Any = getattr(file.module, "handler", None)
    if needs_handler(kind) and not callable(handler):
        raise Missing(
            "HANDLER_MISSING", _no_handler(handler), hint="Write `async def handler(...)` in the file."
        )
    condition = _condition(file)
    config = plain_config({key: value for key, value in file.config.items() if key not in _STEP_FUNCTIONS})
    chain = links([*middleware, handler]) if callable(handler) else ()
    if chain:
        declared.functions[HANDLER][file.path] = chain
    if condition is not None:
        declared.functions[CONDITION][file.path] = links([condition])
    declared.problems.extend(_misfits(file, kind, middleware, handler, condition))
    more = {
        "async": bool(chain) and chain[-1].is_async,
        "middleware": len(middleware),
        "condition": condition is not None,
    }
    declared.steps.append(file.entry(config, type=kind if isinstance(kind, str) else "", **more))


def _misfits(
    file: _File, kind: Any, middleware: Sequence[Any], handler: Any, condition: Any
) -> Iterator[dict[str, Any]]:
    """Functions that cannot be called with what they will get. A warning each: what a signature says may be
    wrong, and then the step runs all the same."""
    names = KINDS[kind].names if needs_handler(kind) else ()
    functions = [(f"config.middleware[{at}]", one, (*names, "next")) for at, one in enumerate(middleware)]
    functions += [("handler", handler, names), (CONDITION, condition, KINDS[CONDITION].names)]
    for what, function, given in functions:
        if function is not None and given and (found := misfit(function, what, given)) is not None:
            error = Missing("HANDLER_ARGUMENTS", found.message, hint=found.hint)
            yield {**_problem(file.path, error, found.line or file.line), "level": "warning"}


def _condition(file: _File) -> Callable[..., Any] | None:
    """The condition, from the config or the file. One that is no function is an error: a step that was meant
    to run now and then must not run always."""
    for given in (file.config.get("condition"), getattr(file.module, "condition", None)):
        if callable(given):
            return given
        if given is not None:
            raise ConfigNotJson(f"condition is a {type(given).__name__}, not a function.")
    return None


def _no_handler(handler: Any) -> str:
    if handler is None:
        return "The file has no function named handler."
    return f"The file's handler is a {type(handler).__name__}, not a function."


def _middleware(config: Mapping[Any, Any]) -> list[Callable[..., Any]]:
    given: Any = config.get("middleware")
    if given is None:
        return []
    if not isinstance(given, list | tuple):
        raise ConfigNotJson("config.middleware must be a list of functions.")
    for index, function in enumerate(cast(list[Any], given)):
        if not callable(function):
            raise ConfigNotJson(f"config.middleware[{index}] is a {type(function).__name__}, not a function.")
    return list(cast(list[Callable[..., Any]], given))


def _declare_stream(file: _File, declared: Declared) -> None:
    rules = rules_of(file.config, file.module)
    config = plain_config(_without_functions(file.config))
    for verb, rule in rules.items():
        if not isinstance(rule, bool):
            declared.functions[RULES[verb]][file.path] = links([rule])
    access = rules.get("read", True) is not True
    for name, verb in misnamed(file.config, file.module, rules).items():
        declared.problems.append(_misnamed(file, name, verb))
    declared.streams.append(file.entry(config, access=access, rules=manifest_of(rules)))


def _misnamed(file: _File, name: str, verb: str) -> dict[str, Any]:
    """The warning about a rule that nobody asks, since it has another name.

    :raises Missing: it would have closed what is open without it. A stream that somebody meant to close is
        never opened.
    """
    message = f"{name} is no rule of a stream, so nobody asks it."
    hint = f"{NAMES[verb]['_' not in name]} is meant? Else give it another name."
    if verb == "read":
        raise Missing("CONFIG_INVALID", message, hint=hint)
    error = Missing("CONFIG_UNKNOWN_KEY", message, hint=hint)
    return {**_problem(file.path, error, file.line), "level": "warning"}


def _without_functions(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """The config without who may do what, and the factory of a custom storage."""
    kept = {key: value for key, value in config.items() if key not in ALL_NAMES}
    base: Any = kept.get("baseConfig")
    if isinstance(base, Mapping):
        inner = cast(Mapping[Any, Any], base).items()
        kept["baseConfig"] = {key: value for key, value in inner if key != "factory"}
    return kept


# --- problems ---


def _problem(path: str, error: HeadwaterError, line: int | None) -> dict[str, Any]:
    members = {"file": path, "code": error.code, "message": error.message, "involved": [path]}
    if error.hint:
        members["hint"] = error.hint
    return members if line is None else {**members, "line": line}


def _import_problem(importer: Importer, path: str, error: BaseException) -> dict[str, Any]:
    sources = importer.sources
    way = importer.way_of(error)
    place = innermost(error, lambda filename: sources.relative(filename) is not None)
    file = (sources.relative(place[0]) if place else None) or (way[-1] if way else path)
    code = "SYNTAX_ERROR" if isinstance(error, SyntaxError) else "IMPORT_FAILED"
    involved = dict.fromkeys([path, *way, file, *_others(sources, error)])
    members = {"file": file, "code": code, "message": describe(error), "involved": list(involved)}
    if hint := _hint(sources, error):
        members["hint"] = hint
    shown = written_line(error) if isinstance(error, SyntaxError) else traceback_text(error)
    if shown:
        members["traceback"] = shown
    return {**members, "line": place[1]} if place else members


def _others(sources: Sources, error: BaseException) -> Iterator[str]:
    """Further files that the fault may lie in: those of the traceback, and the one that lacks a name."""
    owner: Any = getattr(error, "path", None) or getattr(getattr(error, "obj", None), "__file__", None)
    for filename in (*(place[0] for place in frames(error.__traceback__)), owner):
        if isinstance(filename, str) and (path := sources.relative(filename)) is not None:
            yield path


def _hint(sources: Sources, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top in sources.by_name:
            return "No file of the project has that name."
        if top == "motia":
            return (
                "Nothing of it is needed: a step gets what it uses as its arguments. Steps of version 1 of "
                'Motia, which import their triggers, have another format: write config = {"type": ...}.'
            )
        return f'If "{top}" is a package, install it where headwater runs.'
    if isinstance(error, SystemExit):
        return "The file ends the process while it is imported; nothing may do that at import."
    return ""
