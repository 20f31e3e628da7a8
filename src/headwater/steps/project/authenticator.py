"""Which file of the project says who asks, and when another load of it may answer otherwise.

Owns that nothing fails open: a file that is there and cannot be used is an authenticator that lets nobody in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headwater.steps.project.declare import Authenticator, Problem
from headwater.steps.project.sources import Sources, is_authenticator, language_of
from headwater.steps.project.stamps import Stamps

SETTINGS_FILE = "headwater.toml"


def authenticator_of(
    sources: Sources,
    declared: Sequence[Mapping[str, Any]],
    stamps: Stamps | None = None,
    *,
    claims: bool = False,
) -> tuple[Authenticator | None, list[Problem]]:
    """The authenticator of the project, and what is wrong with it. `declared` is what workers found.

    - There is none but the old format's configuration: that is it; but `claims` count where both are there.
    - There is no such file: None, or with `claims` the settings, by which tokens say it themselves. One that
      lies elsewhere is told of, for it shuts nothing.
    - There is one, and `claims` too: nobody can say which counts, so none is asked.
    - There are several: nobody can say which counts, so none is asked.
    - Its worker could not use it: its own problem is reported already.
    """
    files = [path for path in sources.declaring if is_authenticator(path)]
    old = sources.stream_auth
    if not files and old and not claims:
        return _found(old, declared, stamps or Stamps(sources), old=True), []
    if not files:
        who = Authenticator(SETTINGS_FILE, "", name="tokens (jwt)") if claims else None
        unused = [_unused(old)] if old else []
        return who, unused + [
            _misplaced(path) for path in sources.files if is_authenticator(path.rpartition("/")[2])
        ]
    file, stamp = files[0], (stamps or Stamps(sources)).of(*files)
    if claims:
        message = f"{file} and [auth] jwt_* in the settings both say who asks, so nobody is let in"
        both = Problem("error", "AUTH_INVALID", message, file=file, hint="Keep one.", involved=(file,))
        return Authenticator(file, language_of(file), stamp=stamp, broken=message), [both]
    if len(files) > 1:
        message = f"{' and '.join(files)} both say who asks, so nobody is let in"
        hint = "Keep one of them."
        twice = Problem("error", "AUTH_INVALID", message, file=files[1], hint=hint, involved=tuple(files))
        return Authenticator(file, language_of(file), stamp=stamp, broken=message), [twice]
    return _found(file, declared, stamps or Stamps(sources)), []


def _found(
    file: str, declared: Sequence[Mapping[str, Any]], stamps: Stamps, *, old: bool = False
) -> Authenticator:
    """What its worker found in that file."""
    name = "streamAuth" if old else "authenticate"
    who = Authenticator(file, language_of(file), stamp=stamps.of(file), name=name, old=old)
    found = next((one for one in declared if one.get("file") == file), None)
    if found is None:
        return replace(who, broken=f"{file} cannot be used; `headwater routes` tells why")
    return replace(who, line=int(found.get("line") or 0))


def _unused(path: str) -> Problem:
    message = '"streamAuth" is not used: [auth] jwt_* in the settings says who asks'
    return Problem("warning", "OLD_CONFIG", message, file=path, hint="Keep one of them.", involved=(path,))


def _misplaced(path: str) -> Problem:
    message = "The file is not asked who asks, for it does not lie in the project's root: nobody is known"
    return Problem(
        "warning", "AUTH_INVALID", message, file=path, hint="Move it to the root.", involved=(path,)
    )
