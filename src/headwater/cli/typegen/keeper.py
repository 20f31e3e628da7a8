"""Keeps the types of a project fresh while `headwater dev` runs. Owns when, and what is said if it fails."""

from __future__ import annotations

import logging
from pathlib import Path

from headwater.cli.typegen.files import refresh
from headwater.errors import HeadwaterError
from headwater.steps.project.declare import Project

log = logging.getLogger("headwater.cli")


class TypesKeeper:
    """Refreshes the types of a project in `root` with each generation; a failure is logged, nothing more."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, project: Project) -> None:
        """A generation serves from now on."""
        try:
            written = refresh(project, self._root)
        except HeadwaterError as error:
            log.warning("The types are out of date: %s", error.message)
            return
        if written:
            log.info("Wrote %s", " and ".join(written))
