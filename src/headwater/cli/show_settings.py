"""`headwater config`: each setting, its value, where it came from, and what it means."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from headwater.cli.fields import Value, fields, sections
from headwater.cli.settings import DEFAULT, LoadedSettings
from headwater.cli.terminal import out, say, visible


def show_settings(loaded: LoadedSettings) -> None:
    """Print every setting by section; those that are not at their default stand out."""
    for section in sections():
        own = [field for field in fields().values() if field.section == section]
        say(f"[{section}]", "bold")
        names = max(len(field.name) for field in own)
        shown = {field.name: field.show(loaded.value(field)) for field in own}
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


def as_json(loaded: LoadedSettings) -> dict[str, Any]:
    """Every setting as `{value, default, origin, variable, doc}`, by key."""
    return {
        field.key: {
            "value": _plain(loaded.value(field)),
            "default": _plain(field.default),
            "origin": loaded.origins[field.key],
            "variable": field.variable,
            "doc": field.doc,
        }
        for field in fields().values()
    }


def _plain(value: Value) -> str | int | float | list[str]:
    return list(value) if isinstance(value, tuple) else value
