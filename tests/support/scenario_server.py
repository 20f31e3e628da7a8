"""The server of the scenarios, forked from a process that has imported it (`support.warm`)."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from headwater.testing import scenarios
from support.command import start
from support.warm import pipe


class Server(scenarios.Server):
    """A real server on a project of its own, which scenarios write to."""

    def launch(self, arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
        """As a command that runs here, with one worker; `scenarios.Server` needs no more of a process than
        that has."""
        out, there = pipe()
        with there:
            one = {**environ, "HEADWATER_WORKERS_SIZE": "1"}
            process = start(arguments, cwd=Path.cwd(), env=one, out=there, err=there)
        process.stdout = out
        return cast("subprocess.Popen[str]", process)
