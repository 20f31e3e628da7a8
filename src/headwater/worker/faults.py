"""Exceptions <-> errors of the protocol. Owns how tracebacks look and where a fault is; raises nothing."""

from __future__ import annotations

import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, cast

from headwater.errors import HeadwaterError, error_of
from headwater.worker.values import plain

OWN_FOLDER = __file__.removesuffix("worker/faults.py")
"""Where Headwater's own code lies; its frames are nobody's business in a traceback of user code."""

MAX_TRACEBACK = 64 * 1024
"""Longest traceback, in characters; the middle of a longer one is left out."""

_PLUMBING = ("<frozen importlib", "/concurrent/futures/", "/importlib/__init__.py")


def error_from(members: Mapping[str, Any]) -> HeadwaterError:
    """The exception that an `error` of the server stands for, of the class that has its code."""
    error = error_of(members)
    if error is None:
        code = str(members.get("code", HeadwaterError.code))
        error = error_of({**members, "code": HeadwaterError.code}) or HeadwaterError(code)
        error.__dict__["code"] = code
    for note in _notes(error):
        error.add_note(note)
    return error


def _notes(error: HeadwaterError) -> Iterator[str]:
    """What the message does not say itself: faults beyond the one that it names, and what to do."""
    faults: Any = error.details.get("faults")
    for fault in cast(list[Any], faults) if isinstance(faults, list) else ():
        told = f"{fault['field']}: {fault['message']}" if fault["field"] else fault["message"]
        if told not in error.message:
            yield told if fault["field"] else f"(the whole value): {told}"
    if error.hint:
        yield error.hint


def describe(error: BaseException) -> str:
    """One line or more: the type and the message."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ in {"builtins", __name__}
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        text = str(error.msg) if isinstance(error, SyntaxError) else str(error)
    except Exception:
        text = "(its message cannot be shown)"
    return f"{name}: {text}" if text else name


def traceback_text(error: BaseException) -> str:
    """The traceback without the frames of Headwater and of the import machinery, causes included."""
    shown = traceback.TracebackException.from_exception(error)
    _strip(shown, set())
    text = "".join(shown.format()).rstrip("\n")
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        text = f"{text[:half]}\n  ...\n{text[-half:]}"
    return text


def written_line(error: SyntaxError) -> str:
    """The line that does not parse, with a mark under what is wrong; empty where it is not known."""
    *place, _ = "".join(traceback.format_exception_only(error)).rstrip("\n").split("\n")
    return textwrap.dedent("\n".join(place)) if error.text else ""


def _strip(shown: traceback.TracebackException, seen: set[int]) -> None:
    if id(shown) in seen:
        return
    seen.add(id(shown))
    kept = [frame for frame in shown.stack if not _is_plumbing(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(kept)
    linked = [shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())]
    for other in linked:
        if other is not None:
            _strip(other, seen)


def _is_plumbing(filename: str) -> bool:
    return filename.startswith(OWN_FOLDER) or any(part in filename for part in _PLUMBING)


def user_place() -> tuple[str, int]:
    """The file and line of user code that is running now, below which all is Headwater's own."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_code.co_filename.startswith(OWN_FOLDER) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def frames(trail: TracebackType | None) -> Iterator[tuple[str, int]]:
    """The file and line of each frame, outermost first."""
    while trail is not None:
        yield trail.tb_frame.f_code.co_filename, trail.tb_lineno
        trail = trail.tb_next


def called_by_user(error: BaseException) -> bool:
    """Whether code of the user's was running when an error arose, and not our call of it alone."""
    return any(not _is_plumbing(filename) for filename, _ in frames(error.__traceback__))


def innermost(error: BaseException, mine: Callable[[str], bool]) -> tuple[str, int] | None:
    """The file and line where the error arose in files that are `mine`; for a syntax error, its own place."""
    if isinstance(error, SyntaxError) and error.filename and mine(error.filename):
        return error.filename, error.lineno or 1
    found = [place for place in frames(error.__traceback__) if mine(place[0])]
    return found[-1] if found else None


def handler_failed(error: BaseException, step: str, *, cancelled: bool = False) -> dict[str, Any]:
    """The `error` of an invocation that user code failed. What only the log may tell is in the traceback."""
    members: dict[str, Any] = {"code": "HANDLER_FAILED", "message": f'The step "{step}" failed.'}
    if cancelled:
        members |= {"message": f'The step "{step}" was cancelled.', "cancelled": True}
    if isinstance(error, HeadwaterError):
        members["cause"] = _cause(error)
    return {**members, "traceback": traceback_text(error)}


def _cause(error: HeadwaterError) -> dict[str, Any]:
    """What an error says, for whoever answers it. User code may put what it likes into the details."""
    told = {"code": error.code, "message": error.message, "hint": error.hint}
    try:
        return {**plain(error.details, "details"), **told}
    except HeadwaterError:
        return told
