"""What `headwater queue` prints for people: queues, dead letters, one event. Owns words and order."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from rich.text import Text

from headwater.cli.terminal import out, say, table, visible

MOST_CELL = 70
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def show_queues(queues: Sequence[dict[str, Any]]) -> None:
    """Print each queue on a line, and below them what is wrong."""
    if not queues:
        say("No step consumes events or runs by the clock.", "yellow")
        return
    now = time.time()
    names = ("step", "waiting", "running", "retrying", "dead", "oldest", "runs on", "next", "state")
    table("Queues", names, [_queue_row(queue, now) for queue in queues])
    for queue in queues:
        held = queue["waiting"] + queue["retrying"]
        if queue["kind"] == "lost" and held:
            say(f'{held} wait for "{queue["step"]}", which the project has no longer.', "yellow")
            say("  They are given up in time; `headwater queue purge --waiting` throws them away now.", "dim")


def _queue_row(queue: dict[str, Any], now: float) -> Sequence[str]:
    numbers = (str(queue[name] or "-") for name in ("waiting", "running", "retrying", "dead"))
    oldest = "" if queue["oldest"] is None else age(now - queue["oldest"])
    upcoming = "" if queue["next"] is None else f"in {age(queue['next'] - now)}"
    return queue["step"], *numbers, oldest, ", ".join(queue["topics"]), upcoming, _state(queue)


def _state(queue: dict[str, Any]) -> str:
    if queue["kind"] == "lost":
        return "no such step"
    return "paused" if queue["paused"] else ""


def show_connections(connections: Sequence[dict[str, Any]]) -> None:
    """Print each connection on a line."""
    if not connections:
        say("Nobody is connected.", "green")
        return
    now = time.time()
    names = ("number", "user", "by", "from", "token ends")
    table("Connections", names, [_connection_row(one, now) for one in connections])


def _connection_row(one: dict[str, Any], now: float) -> Sequence[str]:
    ends = "" if one["expires"] is None else f"in {age(one['expires'] - now)}"
    return str(one["id"]), visible(one["user"] or "-"), one["kind"], one["address"], ends


def show_running(runs: Sequence[dict[str, Any]]) -> None:
    """Print each run under way on a line."""
    if not runs:
        say("Nothing runs.", "green")
        return
    now = time.time()
    rows = [
        (run["id"], run["step"], run["topic"], age(now - run["at"]), str(run["attempts"]), run["status"])
        for run in runs
    ]
    table("Running", ("id", "step", "topic", "age", "attempt", "status"), rows)


def show_dead(letters: Sequence[dict[str, Any]]) -> None:
    """Print each dead letter on a line."""
    if not letters:
        say("No dead letters.", "green")
        return
    now = time.time()
    rows = [
        (
            letter["id"],
            letter["step"],
            letter["topic"],
            age(now - letter["ended"]),
            str(letter["attempts"]),
            letter["error"]["code"],
            _short(letter["error"]["message"]),
        )
        for letter in letters
    ]
    table("Dead letters", ("id", "step", "topic", "age", "attempts", "code", "error"), rows)
    say("`headwater queue show ID` tells all about one, `headwater queue retry ID` tries it again.", "dim")


def show_job(job: dict[str, Any]) -> None:
    """Print all that is known of one event."""
    lines = [
        (name, job[name])
        for name in ("id", "step", "topic", "status", "attempts", "group", "trace")
        if name in job
    ]
    lines += [(name, _moment(job[name])) for name in ("at", "due", "ended") if name in job]
    if job.get("kept"):
        lines.append(("kept", ", ".join(job["kept"])))
    for name, value in lines:
        if value not in (None, ""):
            out().print(Text.assemble((f"{name:<9} ", "dim"), visible(str(value))))
    _show_error(job.get("error"))
    if "data" in job:
        say("data", "dim")
        for line in json.dumps(job["data"], indent=2, ensure_ascii=False).splitlines():
            say(f"  {line}")


def _show_error(error: Any) -> None:
    if not error:
        return
    told = cast("dict[str, Any]", error if isinstance(error, dict) else {"message": error})
    code = f"{told['code']} " if told.get("code") else ""
    out().print(
        Text.assemble((f"{'error':<9} ", "dim"), (visible(code), "bold red"), visible(told["message"]))
    )
    for line in (told.get("traceback") or "").splitlines():
        say(f"  {line}", "dim")


def age(seconds: float) -> str:
    """A duration in its largest unit: "12 s", "3 min", "2 h", "5 d"."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "0 s"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S %z}"


def _short(text: str) -> str:
    first = text.splitlines()[0] if text else ""
    return first if len(first) <= MOST_CELL else f"{first[: MOST_CELL - 1]}…"
