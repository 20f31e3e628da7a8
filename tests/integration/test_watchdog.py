"""A test that hangs ends, under the loop that the server runs on too, and is named; the others run."""

from __future__ import annotations

import os
import subprocess
import sys

from support.tree import ROOT

ENDED = ["waits_for_nothing", "catches_what_fails", "has_a_fixture_that_does_not_end", "waits_without_a_loop"]
"""Those that can be told to end, in their process."""
KILLED = ["holds_up_the_loop", "never_comes_back_to_python"]
"""Those that end with their process."""


def run(*names: str, processes: int) -> tuple[int, str]:
    """Run tests of `support/hangs.py` with a limit of half a second."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-v"),
            *("-o", "hangs_after=0.5", "-o", "hangs_grace=0.5", f"--numprocesses={processes}"),
            *(f"tests/support/hangs.py::test_{name}" for name in names),
        ],
        cwd=ROOT,
        env={name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_what_hangs_fails_and_the_rest_runs() -> None:
    code, said = run("before", *ENDED, "between", processes=0)
    assert code == 1, said
    for name in ENDED:
        assert f"HUNG for 0.5 s: tests/support/hangs.py::test_{name}" in said, said
    assert "3 failed, 3 passed, 1 error" in said, said
    # Where each of them hung, by the stacks of tasks and threads.
    assert "await asyncio.get_running_loop().create_future()" in said
    assert "threading.Event().wait()" in said


def test_what_cannot_be_told_to_end_ends_with_its_process() -> None:
    code, said = run("before", *KILLED, "after", processes=1)
    assert code == 1, said
    assert "2 failed, 2 passed" in said, said
    for name in KILLED:
        assert f"crashed while running 'tests/support/hangs.py::test_{name}'" in said, said
        assert f"in test_{name}" in said, said
