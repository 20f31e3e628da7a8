"""Runs when a wheel is built. Without what is built from TypeScript, the worker of TypeScript steps and the
browser client, it is half a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = (Path("src/headwater/node/dist/main.mjs"), Path("src/headwater/browser/dist/client.js"))


class BuiltPartsHook(BuildHookInterface):  # pyright: ignore[reportMissingTypeArgument, reportUntypedBaseClass]
    """Refuses to build an incomplete wheel; an editable install may go on without, and be completed later."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files are collected."""
        missing = [str(file) for file in BUILT if not (Path(self.root) / file).exists()]
        if version != "editable" and missing:
            raise SystemExit(f"{', '.join(missing)} missing: run `make setup` first, which builds it.")
