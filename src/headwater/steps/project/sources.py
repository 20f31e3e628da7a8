"""The sources of a project at one moment: which files there are, and the bytes of those that workers import.

Owns the search on the disk: the folders skipped, the name forms of step and stream files, the limits. Knows
nothing of what the files declare (`discover.py`) and imports none of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from headwater.config import StepSettings
from headwater.envfile import ENV_FILE, EnvFault, EnvFile, read_env
from headwater.errors import Limit
from headwater.steps.project.declare import Problem
from headwater.steps.project.old_config import read_old_config

IGNORED = frozenset({"node_modules", "venv", "__pycache__", "site-packages"})
"""Folders never entered, beside hidden ones and those that hold a virtual environment."""

LANGUAGE_BY_SUFFIX: Mapping[str, str] = {
    ".py": "python",
    ".ts": "node",
    ".mts": "node",
    ".cts": "node",
    ".js": "node",
    ".mjs": "node",
    ".cjs": "node",
}
"""Which language a file is written in, by its suffix."""

_ALSO_READ: Mapping[str, str] = {".tsx": "node", ".jsx": "node", ".json": "node"}
"""Files that declare nothing and that sources of a language may import."""
_AT_THE_TOP = re.compile(r"(?:package|[jt]sconfig(?:\.[\w.-]+)?)\.json\Z")
"""Of the JSON files outside the folders of steps, those that tell how to read the sources."""
_TYPES = re.compile(r"\.d\.[cm]?ts\Z")
MAX_JSON_BYTES = 1024 * 1024
"""The largest JSON file that counts as a source; larger ones are data, read from the disk when imported."""

_KINDS = ("step", "stream")
_LIFESPAN = re.compile(r"headwater_lifespan\.(?:py|[cm]?[jt]s)\Z")
_AUTHENTICATOR = re.compile(r"headwater_auth\.(?:py|[cm]?[jt]s)\Z")


@dataclass(frozen=True, slots=True)
class Sources:
    """One snapshot. Paths are relative to the project, with `/`, in path order.

    `files` holds the bytes of every source file; `declaring` the paths of the files whose names make them
    step or stream files, or the one that says who asks; `problems` what could not be read or was left out;
    `env` what the `.env` says; `stream_auth` which of `declaring` is the old format's configuration, if it
    says who follows streams; "" is none.
    """

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    declaring: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    env: EnvFile = field(default_factory=EnvFile)
    stream_auth: str = ""

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the step and stream files."""
        return tuple(sorted({language_of(path) for path in self.declaring}))

    def declaring_in(self, language: str) -> tuple[str, ...]:
        """The step and stream files of one language."""
        return tuple(path for path in self.declaring if language_of(path) == language)

    def files_for(self, language: str) -> Mapping[str, bytes]:
        """The files that workers of one language may import."""
        return {path: content for path, content in self.files.items() if _reader_of(path) == language}

    def with_files_of(self, before: Sources, paths: Iterable[str]) -> Sources:
        """The same snapshot with some files as they were in an earlier one."""
        back = {path: before.files[path] for path in paths if path in before.files}
        declaring = {*self.declaring, *(path for path in before.declaring if path in back)}
        files = dict(sorted({**self.files, **back}.items()))
        back_again = before.stream_auth if before.stream_auth in back else ""
        stream_auth = self.stream_auth or back_again
        return Sources(files, tuple(sorted(declaring)), self.problems, self.env, stream_auth)

    def changed_since(self, before: Sources) -> frozenset[str]:
        """The files whose bytes are not those of an earlier snapshot, the deleted ones among them."""
        paths = self.files.keys() | before.files.keys()
        return frozenset(path for path in paths if self.files.get(path) != before.files.get(path))


def language_of(path: str) -> str:
    """ "python", "node", or "" for a file that no worker runs."""
    return LANGUAGE_BY_SUFFIX.get(PurePosixPath(path).suffix, "")


def is_source(name: str) -> bool:
    """Whether a file of this name may be read by workers."""
    return bool(_reader_of(name))


def _reader_of(path: str) -> str:
    """The language whose workers get a file; files that only declare types are nobody's."""
    if _TYPES.search(path):
        return ""
    return language_of(path) or _ALSO_READ.get(PurePosixPath(path).suffix, "")


def declares(path: str, folders: Iterable[str]) -> bool:
    """Whether a file, by folder and name, declares a step, a stream or who asks."""
    if is_authenticator(path):
        return True
    return _is_named(path) and bool(language_of(path)) and any(_inside(path, folder) for folder in folders)


def _is_named(path: str) -> bool:
    stem = PurePosixPath(path).stem
    return any(len(stem) > len(kind) + 1 and stem.endswith((f".{kind}", f"_{kind}")) for kind in _KINDS)


def _inside(path: str, folder: str) -> bool:
    clean = _clean(folder)
    return not clean or path.startswith(f"{clean}/")


def _clean(folder: str) -> str:
    """A folder without dots and slashes around it; "" for the project itself."""
    clean = PurePosixPath(folder).as_posix().strip("/")
    return "" if clean == "." else clean


_NOT_RUN: Mapping[str, str] = {
    ".rb": "Steps are written in Python, TypeScript or JavaScript.",
    ".go": "Steps are written in Python, TypeScript or JavaScript.",
    ".php": "Steps are written in Python, TypeScript or JavaScript.",
    ".java": "Steps are written in Python, TypeScript or JavaScript.",
    ".rs": "Steps are written in Python, TypeScript or JavaScript.",
    ".cs": "Steps are written in Python, TypeScript or JavaScript.",
    ".tsx": "It draws a step in the old Workbench; where it is a step, name it .step.ts.",
    ".jsx": "It draws a step in the old Workbench; where it is a step, name it .step.js.",
}
"""Suffixes of files that are named like steps and that no worker runs, and what to do about each."""


def _is_not_run(path: str, folders: Iterable[str]) -> bool:
    return (
        PurePosixPath(path).suffix in _NOT_RUN
        and _is_named(path)
        and any(_inside(path, folder) for folder in folders)
    )


def _not_run(path: str) -> Problem:
    suffix = PurePosixPath(path).suffix
    kind = "step" if PurePosixPath(path).stem.endswith("step") else "stream"
    message = f"The file is named like a {kind}, but {suffix} files are not run"
    return Problem("warning", "FILE_NOT_RUN", message, file=path, hint=_NOT_RUN[suffix])


def is_lifespan(path: str) -> bool:
    """Whether a file is what workers enter before they run anything; it lies in the project's root."""
    return bool(_LIFESPAN.match(path))


def is_authenticator(path: str) -> bool:
    """Whether a file says who asks; it lies in the project's root."""
    return bool(_AUTHENTICATOR.match(path))


def is_ignored(name: str) -> bool:
    """Whether a folder of this name is never entered."""
    return name in IGNORED or name.startswith(".")


def snapshot(root: Path, settings: StepSettings) -> Sources:
    """Read the project's sources. Blocks on the disk: call it in a thread.

    Never raises for what it finds: a file that cannot be read, or is one too many, becomes a problem.
    """
    public = _clean(settings.public)
    paths = sorted(path for path in _walk(root) if not (public and path.startswith(f"{public}/")))
    declaring = [path for path in paths if declares(path, settings.folders)]
    old = read_old_config(root, next((path for path in declaring if is_authenticator(path)), ""))
    declaring = tuple(sorted([*declaring, old.stream_auth])) if old.stream_auth else tuple(declaring)
    found = _Reading(root, settings).read(_by_need(paths, declaring, settings), declaring)
    env = read_env(root)
    not_run = [_not_run(path) for path in paths if _is_not_run(path, settings.folders)]
    beside = (*map(_env_problem, env.faults), *not_run, *old.problems)
    return replace(found, problems=(*found.problems, *beside), env=env, stream_auth=old.stream_auth)


def _env_problem(fault: EnvFault) -> Problem:
    return Problem("warning", "ENV_INVALID", fault.message, file=ENV_FILE, line=fault.line, hint=fault.hint)


def _by_need(paths: list[str], declaring: tuple[str, ...], settings: StepSettings) -> list[str]:
    """The files to read, those that declare something first, so that a limit cuts the others.

    Files of Node only where Node is needed: a page brings many that no step imports.
    """
    wanted = set(declaring)
    languages = {"python", *(language_of(path) for path in declaring)}
    read = (path for path in paths if _reader_of(path) in languages and _counts(path, settings))
    return sorted(read, key=lambda path: (path not in wanted, not _is_required(path, settings), path))


def _counts(path: str, settings: StepSettings) -> bool:
    """Whether a file is a source, and not data."""
    return not path.endswith(".json") or bool(_AT_THE_TOP.match(path)) or _is_in_folders(path, settings)


def _is_required(path: str, settings: StepSettings) -> bool:
    """Whether leaving a file out is a fault. Other files of Node are found on the disk."""
    if path.endswith(".py") or is_lifespan(path) or is_authenticator(path):
        return True
    return bool(language_of(path)) and _is_in_folders(path, settings)


def _is_in_folders(path: str, settings: StepSettings) -> bool:
    return any(_inside(path, folder) for folder in settings.folders)


class _Reading:
    """Reads files within the limits, and notes what was left out."""

    def __init__(self, root: Path, settings: StepSettings) -> None:
        self._root = root
        self._settings = settings
        self._room = settings.max_source_bytes
        self._files: dict[str, bytes] = {}
        self._problems: list[Problem] = []
        self._left_out: list[str] = []
        self._limit: Limit | None = None

    def read(self, paths: list[str], declaring: tuple[str, ...]) -> Sources:
        """Read all that fits, in the order given."""
        named = frozenset(declaring)
        for path in paths:
            try:
                self._read(path, named)
            except OSError as fault:
                self._problems.append(_unreadable(path, fault))
        if self._left_out:
            self._problems.append(_too_much(self._left_out, self._settings, self._limit))
        return Sources(dict(sorted(self._files.items())), declaring, tuple(self._problems))

    def _read(self, path: str, declaring: frozenset[str]) -> None:
        file = self._root / path
        full = len(self._files) >= self._settings.max_files
        size = 0 if full else file.stat().st_size
        if path.endswith(".json") and size > MAX_JSON_BYTES:
            return
        data = None if full or size > self._room else file.read_bytes()
        if data is not None and len(data) <= self._room:
            self._room -= len(data)
            self._files[path] = data
        elif path in declaring or _is_required(path, self._settings):
            self._left_out.append(path)
            settings = self._settings
            self._limit = (
                Limit("steps.max_files", settings.max_files)
                if full
                else Limit("steps.max_source_bytes", settings.max_source_bytes)
            )


def _unreadable(path: str, fault: OSError) -> Problem:
    reason = fault.strerror or type(fault).__name__
    return Problem("error", "FILE_UNREADABLE", f"The file cannot be read: {reason}", file=path)


def _too_much(paths: list[str], settings: StepSettings, limit: Limit | None) -> Problem:
    mib = settings.max_source_bytes / (1024 * 1024)
    return Problem(
        "error",
        "TOO_MANY_SOURCES",
        f"{len(paths)} source files are left out: a project may have {settings.max_files} of them, "
        f"{mib:g} MiB together",
        file=paths[0],
        hint="Move what is no source of this project elsewhere or into a hidden folder, or raise "
        "steps.max_files and steps.max_source_bytes.",
        limit=limit,
    )


def _walk(root: Path) -> Iterator[str]:
    """Every file that may matter, relative to the root.

    Links are followed, so a folder may be met twice, or within itself: it is entered once, by its place on
    the disk. A folder that cannot be read, that is ignored, or that is a Python environment is left out; what
    goes while it is looked at was never there.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            status = (root / folder).stat()
        except OSError:
            continue
        place = (status.st_dev, status.st_ino)
        if place in seen or (folder and any(entry.name == "pyvenv.cfg" for entry in entries)):
            continue
        seen.add(place)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                if not is_ignored(entry.name):
                    waiting.append(path)
            elif (is_source(entry.name) or _is_named(entry.name)) and not entry.name.startswith("."):
                yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
