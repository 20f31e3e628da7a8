"""Runs when a wheel is built: one without the worker of TypeScript and JavaScript steps is half a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = Path("src/headwater/node/dist/main.mjs")


class NodeWorkerHook(BuildHookInterface):  # pyright: ignore[reportMissingTypeArgument, reportUntypedBaseClass]
    """Refuses to build an incomplete wheel; an editable install may go on without, and be completed later."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files are collected."""
        if version != "editable" and not (Path(self.root) / BUILT).exists():
            raise SystemExit(f"{BUILT} is missing: run `make setup` first, which builds it.")
