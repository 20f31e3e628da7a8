"""`headwater config`: each setting, its value, where it came from, and what it means; and which variables the
`.env` has, never their values."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from headwater.cli.fields import Field, Value, fields, sections
from headwater.cli.settings import DEFAULT, LoadedSettings
from headwater.cli.terminal import out, say, visible
from headwater.envfile import ENV_FILE


def show_settings(loaded: LoadedSettings) -> None:
    """Print every setting by section; those that are not at their default stand out."""
    for section in sections():
        own = [field for field in fields().values() if field.section == section]
        say(f"[{section}]", "bold")
        names = max(len(field.name) for field in own)
        shown = {field.name: _shown(field, loaded) for field in own}
        values = max(map(len, shown.values()))
        for field in own:
            origin = loaded.origins[field.key]
            line = Text.assemble(
                f"  {field.name:<{names}}  ",
                (f"{visible(shown[field.name]):<{values}}", "" if origin == DEFAULT else "bold green"),
                (f"  {visible(origin)}", "dim" if origin == DEFAULT else "cyan"),
            )
            out().print(line)
            say(f"  {'':<{names}}  {field.doc}", "dim")
        say()
    _show_variables(loaded)


HIDDEN = "(not shown)"


def _shown(field: Field, loaded: LoadedSettings) -> str:
    return HIDDEN if field.key in loaded.secret else field.show(loaded.value(field))


def _show_variables(loaded: LoadedSettings) -> None:
    """Print which variables the project's `.env` gives to steps, and where it could not be read."""
    env = loaded.env
    if not env.values and not env.faults:
        return
    say(f"[{ENV_FILE}]", "bold")
    names = max(map(len, env.values), default=0)
    for name in env.values:
        overruled = "  the environment says it too, and wins" if name in loaded.overruled else ""
        out().print(
            Text.assemble(f"  {visible(name):<{names}}  ", (env.where(name), "cyan"), (overruled, "dim"))
        )
    for fault in env.faults:
        where = f"{ENV_FILE}:{fault.line}" if fault.line else ENV_FILE
        out().print(Text(f"  {where}: {visible(fault.message)} {fault.hint}".rstrip(), "yellow"))
    say()


def as_json(loaded: LoadedSettings) -> dict[str, Any]:
    """Every setting as `{value, default, origin, variable, doc}`, by key; the value is null where it is not
    to be shown. Under `.env`, where each of its variables stands and whether the environment proper overrules
    it."""
    settings = {
        field.key: {
            "value": None if field.key in loaded.secret else _plain(loaded.value(field)),
            "default": _plain(field.default),
            "origin": loaded.origins[field.key],
            "variable": field.variable,
            "doc": field.doc,
        }
        for field in fields().values()
    }
    env = loaded.env
    variables = {
        name: {"origin": env.where(name), "overruled": name in loaded.overruled} for name in env.values
    }
    return {**settings, ENV_FILE: variables}


def _plain(value: Value) -> str | int | float | list[str]:
    return list(value) if isinstance(value, tuple) else value
