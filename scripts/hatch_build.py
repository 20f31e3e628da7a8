"""Runs when a wheel is built: one without the worker of TypeScript and JavaScript steps is half a server.

It also brings the templates of `headwater create`, which are links to the examples: an sdist drops links to
folders, so a wheel that is built from one takes the examples themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = Path("src/headwater/node/dist/main.mjs")
PACKAGE = Path("src")
TEMPLATES = {"template": "chat", "template_typescript": "chat-typescript", "template_mixed": "chat-mixed"}


class WheelHook(BuildHookInterface):  # pyright: ignore[reportMissingTypeArgument, reportUntypedBaseClass]
    """Refuses to build an incomplete wheel; an editable install may go on without, and be completed later."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files are collected."""
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / BUILT).exists():
            raise SystemExit(f"{BUILT} is missing: run `make setup` first, which builds it.")
        for name, example in TEMPLATES.items():
            inside = Path("headwater/cli") / name
            if not (root / PACKAGE / inside).is_dir():
                folder = root / "examples" / example
                for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                    build_data["force_include"][str(file)] = str(inside / file.relative_to(folder))
