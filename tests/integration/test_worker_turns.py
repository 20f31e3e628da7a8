"""What a Python worker does while something holds its loop: it reads, and what has ended is answered."""

from __future__ import annotations

import os
from pathlib import Path

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import text_of
from support.worker_project import step, working

HOLDS = """
def hold():
    open("gate").read()  # Comes back when somebody opens it to write.
"""


def let_go(root: Path) -> None:
    os.close(os.open(root / "gate", os.O_WRONLY))


def test_an_answer_waits_for_nothing_that_holds_the_loop_behind_it(tmp_path: Path) -> None:
    source = step(
        "X",
        "asyncio.get_running_loop().call_soon(hold)\nreturn {'status': 200, 'body': 'x'}",
        top=f"import asyncio\n{HOLDS}",
    )
    os.mkfifo(tmp_path / "gate")
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        for number in range(3):
            assert text_of(worker.run_step("X")) == "x"
            worker.send(protocol.ping(100 + number))
            let_go(tmp_path)
            worker.wait_for("pong", n=100 + number)


def test_messages_are_taken_while_the_loop_is_held_and_after(tmp_path: Path) -> None:
    files = {
        "steps/x_step.py": step("X", "hold()\nreturn {'status': 200, 'body': 'x'}", top=HOLDS),
        "steps/y_step.py": step("Y", "return {'status': 200, 'body': 'y'}"),
        "steps/z_step.py": step(
            "Z",
            "for n in range(20): ctx.streams.chat.set('g', str(n), {'n': n}).result()\n"
            "return {'status': 200, 'body': 'z'}",
            plain=True,
        ),
    }
    os.mkfifo(tmp_path / "gate")
    with working(tmp_path, files) as worker:
        for _ in range(3):
            held = worker.call_step("X")
            worker.wait_for("started", held)
            # What waits for the loop is given back, what needs it not goes on.
            waiting = worker.call_step("Y")
            worker.send(protocol.withdraw(waiting))
            assert worker.wait_for("withdrawn", waiting).header["ok"]
            assert text_of(worker.run_step("Z")) == "z"
            let_go(tmp_path)
            assert text_of(worker.wait_for("result", held)) == "x"
            assert text_of(worker.run_step("Y")) == "y"
