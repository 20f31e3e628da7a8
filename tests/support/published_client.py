"""A published client of the old framework, unmodified, in a Node process that the test drives."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from support import node

FOLDER = Path(__file__).parent.parent / "npm"
INSTALLED = (FOLDER / "node_modules" / ".installed").exists()
DEADLINE = 60.0


class PublishedClient:
    """One of the packages that tests/npm installs, by its name there. Commands are those of `driver.mjs`."""

    def __init__(self, package: str) -> None:
        self.prefix = ""
        """What the names of groups begin with here, where tests share a server."""
        found = node.find()
        self._process = subprocess.Popen(
            [found.node, FOLDER / "driver.mjs", package],
            cwd=FOLDER,
            env={**os.environ, **found.environ()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Carry out one command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver has ended"
        return json.loads(line)

    def join(self, name: str, stream: str, group: str, item: str | None = None, **more: Any) -> None:
        """Subscribe, over the connection `c`."""
        where = {"stream": stream, "group": self.prefix + group, "id": item}
        self.do("join", **{"as": name, "client": "c", **where, **more})

    def state(self, name: str) -> Any:
        """What a subscription holds now."""
        return self.do("look", **{"as": name})["state"]

    def wait(self, name: str, state: Any) -> None:
        """Wait until a subscription holds that."""
        self.wait_for(name, "state", state)

    def wait_for(self, name: str, what: str, value: Any) -> None:
        """Wait until something about a subscription is so."""
        until = time.monotonic() + DEADLINE
        while (seen := self.do("look", **{"as": name})[what]) != value:
            assert time.monotonic() < until, f"{name} has {what} {seen!r}, not {value!r}"
            time.sleep(0.02)

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.kill()
        self._process.wait()
